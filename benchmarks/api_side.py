"""One side of benchmarks/api.py: the API of the checkout that PYTHONPATH names.

`prepare FOLDER HEIGHT WIDTH` trains a few steps; `first RUN`, `first_map RUN` and `memory RUN
USERS` measure a new process; `serve RUN` answers each line `WHAT USERS` with the seconds of one
call. The API of all commits has `load`, `embed` and `predict`; `embed_many` and `predict_many` are
used where they are.
"""

import itertools
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import command_of

NUM_IMAGES, NUM_FIXATIONS, SHAPE = 10, 12, (600, 800, 3)
SHORT = {
    "data.name": "synthetic_gaze/tiny",
    "split.test_rule": "hash",
    "eval.num_images": "(1,)",
    "eval.saliency_num_images": "(2,)",
    "eval.num_draws": 2,
} | {
    f"{stage}.{key}": number
    for stage in ("encoder", "saliency", "universal")
    for key, number in (("num_steps", 2), ("optimizer.warmup_steps", 1))
}


def prepare(folder: Path, height: int, width: int) -> None:
    """Trains configs/osie.py for two steps on synthetic gaze, at a size of maps."""
    root = Path.cwd()
    size = f"({height},{width})"
    values = SHORT | {
        "data.data_dir": folder / "data",
        "encoder.map_size": size,
        "saliency.map_size": size,
        "encoder.batch.num_users": 4,
        "encoder.batch.images_per_user": 6,
        "encoder.batch.virtual_users.number": 1,
        "saliency.batch.num_images": 4,
        "saliency.batch.users_per_image": 3,
        "saliency.batch.enrolment_images": "(2,4)",
        "controls.train_permuted_encoder": False,
    }
    data = ["data", "build", "synthetic_gaze/tiny", "--data-dir", folder / "data"]
    config = ["--config=configs/osie.py", f"--workdir={folder / 'run'}"]
    flags = [f"--config.{name}={value}" for name, value in values.items()]
    for words in (data, ["train", *config, *flags]):
        subprocess.run(command_of(root, *words), check=True, stdout=subprocess.DEVNULL)


def pictures(number: int, seed: int) -> list[np.ndarray]:
    """Pictures that were never seen before: features of known ones may be kept."""
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, SHAPE, np.uint8) for _ in range(number)]


def viewings(number: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Fixations and durations of one user on each of a number of pictures."""
    random = np.random.default_rng(seed)
    size = np.array(SHAPE[1::-1])
    xy = [random.uniform(0, size, (NUM_FIXATIONS, 2)) for _ in range(number)]
    return xy, [random.uniform(100, 400, NUM_FIXATIONS) for _ in range(number)]


def embed(model: Any, images: list[np.ndarray], users: int) -> list[np.ndarray]:
    """Embeds users on the same pictures."""
    given = {f"user {user}": (images, *viewings(len(images), user)) for user in range(users)}
    if hasattr(model, "embed_many"):
        return list(model.embed_many(given).values())
    return [model.embed(image, xy, durations_ms=ms) for image, xy, ms in given.values()]


def predict(model: Any, image: np.ndarray, embeddings: list[np.ndarray]) -> None:
    """Predicts the maps of users on one picture."""
    if hasattr(model, "predict_many"):
        list(model.predict_many([image], embeddings))
    else:
        for embedding in embeddings:
            np.asarray(model.predict(image, embedding))


def few(model: Any, users: int) -> list[np.ndarray]:
    """Embeddings of users, around that of one."""
    [embedding] = embed(model, pictures(2, 0), 1)
    random = np.random.default_rng(0)
    vector = np.asarray(embedding)
    return [vector + random.normal(0, 0.1, vector.shape).astype(np.float32) for _ in range(users)]


def first(run: str) -> dict[str, float]:
    """CPU seconds of a new process, until each of its first calls has ended."""
    marks = {"start": time.process_time()}
    import gazejax

    marks["import"] = time.process_time()
    model = gazejax.load(run)
    marks["load"] = time.process_time()
    [embedding] = embed(model, pictures(1, 0), 1)
    marks["embed"] = time.process_time()
    predict(model, pictures(1, 1)[0], [embedding])
    marks["predict"] = time.process_time()
    between = (after - before for before, after in itertools.pairwise(marks.values()))
    return dict(zip([*marks][1:], between, strict=True)) | {"all": marks["predict"]}


def first_map(run: str) -> dict[str, float]:
    """CPU seconds of a new process until it has the map of a stored embedding."""
    import gazejax

    model = gazejax.load(run)
    predict(model, pictures(1, 1)[0], [np.zeros(model.embedding_size, np.float32)])
    return {"all": time.process_time()}


def memory(run: str, users: int) -> dict[str, float]:
    """Peak memory of the maps of many users on two pictures, beside their result, in bytes."""
    import gazejax

    model = gazejax.load(run)
    embeddings = few(model, users)
    list(model.predict_many(pictures(1, 1), embeddings[:1]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = 0
    for maps in model.predict_many(pictures(2, 2), embeddings):
        size = maps.nbytes
        del maps  # Else those of the last picture are kept while the next ones are predicted.
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"bytes": 1024 * (after - before) - size, "result_bytes": size}


def serve(run: str) -> None:
    """Answers lines with the seconds of one call, on pictures that are new each time."""
    import gazejax

    model = gazejax.load(run)
    embeddings = few(model, 100)
    print(json.dumps({"path": gazejax.__file__}), flush=True)
    for seed, line in enumerate(sys.stdin):
        what, users = line.split()
        images = pictures(NUM_IMAGES if what == "embed" else 1, 1000 + seed)
        start = time.perf_counter()
        if what == "embed":
            embed(model, images, int(users))
        else:
            predict(model, images[0], embeddings[: int(users)])
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


if __name__ == "__main__":
    what, path, *numbers = sys.argv[1:]
    if what == "prepare":
        prepare(Path(path), *map(int, numbers))
    elif what == "serve":
        serve(path)
    else:
        measure = {"first": first, "first_map": first_map, "memory": memory}[what]
        print(json.dumps(measure(path, *map(int, numbers))))
