"""The page of `gazejax try` under load: `python benchmarks/try_page.py`.

A program serves the page; 100 clients on the loopback ask in turn for the description of a round,
for maps and for pictures, for a minute. Printed are the time until the address is printed and until
the model is ready, times of answers alone and under load, errors, and the memory of the program.
"""

import argparse
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import numpy as np

HEADER = "X-Gazejax-Token"


def start() -> tuple[subprocess.Popen, httpx.URL, str, float]:
    """Starts the program: also its address, its token and the seconds until it was printed."""
    began = time.perf_counter()
    program = subprocess.Popen(
        [sys.executable, "-m", "gazejax", "try", "--no-browser"], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    url = httpx.URL(program.stdout.readline().strip())
    return program, url.copy_with(query=None), url.params["token"], time.perf_counter() - began


def memory_mb(program: subprocess.Popen) -> float:
    """Resident memory of the program."""
    status = Path(f"/proc/{program.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def a_round(seed: int) -> list[dict]:
    """Viewings of the eight pictures of the first round, at random places."""
    places = np.random.default_rng(seed).uniform(20, 280, (8, 125, 2)).round(2)
    return [
        {"picture": number, "x": xy[:, 0].tolist(), "y": xy[:, 1].tolist()}
        for number, xy in enumerate(places)
    ]


def timed(ask: Callable[[], httpx.Response]) -> float:
    """Milliseconds of a request that is answered."""
    began = time.perf_counter()
    ask().raise_for_status()
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    program, address, token, until_printed = start()
    found: dict[str, object] = {"seconds until the address": round(until_printed, 2)}
    began = time.perf_counter()
    try:
        with httpx.Client(base_url=address, headers={HEADER: token}, timeout=120) as client:
            timed(lambda: client.get("/", params={"token": token}))
            found["seconds until the page"] = round(until_printed + time.perf_counter() - began, 2)
            while not client.get("/api/about").json()["ready"]:
                time.sleep(0.02)
            found["seconds until the model is warm"] = round(
                until_printed + time.perf_counter() - began, 2
            )
            described = client.post("/api/describe", json={"rounds": [a_round(0)]})
            embedding = described.raise_for_status().json()["embedding"]
            alone = [
                timed(
                    partial(
                        client.post,
                        "/api/map",
                        json={"embedding": embedding, "picture": number},
                    )
                )
                for number in [16, 17, 18, 19] * 5
            ]
            found["a map alone, ms, median and largest"] = [
                round(float(np.median(alone))), round(max(alone)),
            ]  # fmt: skip
        times, errors, memory = load(program, address, token, embedding, arguments)
        found |= {
            "clients": arguments.clients,
            "seconds": arguments.seconds,
            "answers": len(times),
            "errors": errors,
            "under load, ms, median and 95 %": np.quantile(times, [0.5, 0.95]).round().tolist(),
            "memory, MB, each sixth": [round(one) for one in memory],
        }
    finally:
        program.terminate()
        found["exit status"] = program.wait(60)
    print(json.dumps(found, indent=2))


def load(
    program: subprocess.Popen,
    address: httpx.URL,
    token: str,
    embedding: dict,
    arguments: argparse.Namespace,
) -> tuple[list[float], list[str], list[float]]:
    """Times of the answers to all clients, errors, and the memory of the program meanwhile."""
    times: list[float] = []
    errors: list[str] = []
    end = time.perf_counter() + arguments.seconds

    def ask(seed: int) -> None:
        turn, rounds = seed, [a_round(seed)]
        with httpx.Client(base_url=address, headers={HEADER: token}, timeout=120) as client:
            while time.perf_counter() < end:
                body = {"embedding": embedding, "picture": turn % 20}
                path, sent = (
                    ("/api/describe", {"rounds": rounds}),
                    ("/api/map", body),
                    (f"/pictures/{turn % 20}", None),
                )[turn % 3]
                method = "GET" if sent is None else "POST"
                try:
                    times.append(timed(partial(client.request, method, path, json=sent)))
                except httpx.HTTPError as error:
                    errors.append(repr(error))
                turn += 1

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(arguments.clients)]
    for thread in threads:
        thread.start()
    memory = [memory_mb(program)]
    for _ in range(6):
        time.sleep(arguments.seconds / 6)
        memory.append(memory_mb(program))
    for thread in threads:
        thread.join()
    return times, errors, memory


if __name__ == "__main__":
    main()
