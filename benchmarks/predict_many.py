"""Speed of `predict_many`: 20 users on one picture, in turns with a call of `predict` for each.

    taskset -c 0 python benchmarks/predict_many.py

The shipped model `osie`, pictures of 600 x 800 that were never seen before, in CPU seconds. On one
core from the start: threads of NumPy's matrix products would spin beside each other. Both sides
compute what depends on the picture alone once: `predict` keeps it for the next user.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import (
    RESULTS,
    machine,
    markdown,
    summarize,
    take_turns,
    versions,
    with_quartiles,
    write_report,
)

import gazejax

NUM_USERS, SHAPE = 20, (600, 800, 3)


def main(arguments: list[str]) -> None:
    """Measures, prints the table and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--users", type=int, default=NUM_USERS)
    parser.add_argument("--out", type=Path, default=RESULTS / "predict_many.json")
    options = parser.parse_args(arguments)

    about = machine()
    model = gazejax.load("osie")
    random = np.random.default_rng(0)
    embeddings = list(
        random.normal(0, 0.1, (options.users, model.embedding_size)).astype(np.float32)
    )

    def timed(call: Callable[[np.ndarray], object]) -> float:
        picture = random.integers(0, 256, SHAPE, np.uint8)
        start = time.process_time()
        call(picture)
        return time.process_time() - start

    sides = {
        "predict_many": lambda: timed(lambda one: list(model.predict_many([one], embeddings))),
        "predict": lambda: timed(lambda one: [model.predict(one, user) for user in embeddings]),
    }
    row = {
        side: summarize([options.users / one for one in seconds])
        for side, seconds in take_turns(sides, options.rounds).items()
    }
    ratio = row["predict_many"]["median"] / row["predict"]["median"]
    speeds = [with_quartiles(row[side], 0) for side in sides]
    print(markdown([*(f"{side}, maps/s" for side in sides), "ratio"], [[*speeds, f"{ratio:.1f}"]]))
    report = {
        "machine": about,
        "versions": versions("jax", "jaxlib", "numpy"),
        "setting": {"users": options.users, "rounds": options.rounds},
        **row,
        "ratio": ratio,
    }
    write_report(options.out, report)


if __name__ == "__main__":
    main(sys.argv[1:])
