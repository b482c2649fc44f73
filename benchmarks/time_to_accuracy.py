"""Time to the verification accuracy of a CNN trained in PyTorch, on OSIE.

    gazejax data build osie/gaze --raw DIR
    python benchmarks/time_to_accuracy.py --peer .venv-peers/bin/python

The benchmark trains all folds of users with seed 0. PyTorch trains the early-fusion encoder of
configs/osie_maps.py for 840 steps of 10 users with 6 images each (9 epochs), and embeds the test
images. Only training and embedding are timed; maps are rendered and data are read beforehand. Our
side trains the encoder of configs/osie.py, for fewer steps than the config has. Its time is from
the prepared data set to the embeddings, including reading, ImageNet features and compilation. The
protocol of the evaluation then scores the embeddings of both sides.
"""

import before_pyarrow  # noqa: F401

# isort: split

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from measuring import HERE, RESULTS, Process, machine, markdown, versions, write_report
from ml_collections import ConfigDict

sys.path.insert(0, str(HERE.parent))  # configs build on each other.

import networks

from gazejax.config.derived import batch_divisor, embedding_layout
from gazejax.configs import osie, osie_maps
from gazejax.data.loading import load_dataset, make_config_splits
from gazejax.data.splits import Splits
from gazejax.evaluation.verification import protocol
from gazejax.inference.embed import embed_viewings
from gazejax.inference.stage_inputs import make_stage_inputs
from gazejax.inputs.maps import to_relative_density
from gazejax.inputs.viewing_vectors import from_dense, to_dense
from gazejax.metrics import verification
from gazejax.runtime.devices import replicated
from gazejax.training.devices import choose_devices, configure_host_devices
from gazejax.training.run import make_stage
from gazejax.training.step import init_state, make_train_step
from gazejax.types import Dataset

SIZES = (10, 50)


def fold_configs(config: ConfigDict, folds: int) -> list[ConfigDict]:
    """The config of each of three folds, or of the first ones."""
    configs = []
    for fold in range(folds):
        one = config.copy_and_resolve_references()
        one.split.update(folds=3, fold=fold)
        configs.append(one)
    return configs


def metrics_of(
    config: ConfigDict,
    dataset: Dataset,
    folds: list[tuple[Splits, np.ndarray]],
) -> dict[str, float]:
    """ROC-AUC and rank-1 of seen and unseen users, means over the folds.

    Args:
        config: config of the evaluation.
        dataset: the data set.
        folds: splits, and the embeddings [user, test image, embedding] of all users.
    """
    images = folds[0][0].test_images
    orders = protocol.sample_image_orders(len(images), config.eval.num_draws, config.eval.seed)
    found = {}
    for group in ("seen", "unseen"):
        for size in SIZES:
            scores = []
            for splits, embeddings in folds:
                users = getattr(splits, f"{group}_users")
                viewed = np.asarray(dataset.gaze.viewing_length)[np.ix_(users, images)] > 0
                compared = protocol.UserRepresentations(
                    users,
                    from_dense(embeddings[users], viewed),
                    viewed,
                    protocol.at_any_size(verification.negative_distance),
                )
                scores.append(
                    protocol.score_draws(compared, orders, size=size, samples_per_user=2, seed=0)
                )
            values = protocol.verification_metrics(scores)
            for name in ("roc_auc", "rank1"):
                found[f"{group}, n = {size}: {name}"] = float(values[name])
    return found


def train_ours(config: ConfigDict, folds: int) -> tuple[float, dict[str, float]]:
    """Seconds from the prepared data set to the embeddings of all folds, and their metrics."""
    start = time.perf_counter()
    devices = choose_devices(batch_divisor(config))
    dataset = load_dataset(config)
    all_users, embedded = np.arange(len(dataset.user_ids)), []
    for one in fold_configs(config, folds):
        splits = make_config_splits(one, dataset)
        inputs = {"encoder": make_stage_inputs("encoder", one, dataset, splits)}
        stage = make_stage("encoder", one, inputs, encoder_params=None, devices=devices)
        step = make_train_step(stage.loss, stage.optimizer, devices=devices, steps_per_dispatch=1)
        state = init_state(stage.network.init, stage.optimizer, one.seed)
        state = jax.device_put(state, replicated(devices))
        before = None
        for _ in range(stage.num_steps):
            state, metrics = step(state, stage.constants, None)
            # As in the training loop: if hundreds of steps wait, some devices of a CPU may never
            # get a thread.
            jax.block_until_ready(before)
            before = metrics
        embeddings = embed_viewings(
            stage.network,
            state.params,
            inputs["encoder"],
            users=all_users,
            images=splits.test_images,
            embedding_size=sum(embedding_layout(one)),
            devices=devices,
            batch_size=one.eval.batch_size,
        )
        embedded.append((splits, to_dense(embeddings)))
    seconds = time.perf_counter() - start
    return seconds, metrics_of(config, dataset, embedded)


def train_theirs(
    config: ConfigDict, folds: int, python: Path
) -> tuple[float, dict[str, float], dict]:
    """Seconds of training and embedding in PyTorch, the metrics, and the versions."""
    dataset, embedded, seconds = load_dataset(config), [], 0.0
    all_users = np.arange(len(dataset.user_ids))
    for one in fold_configs(config, folds):
        ours = networks.Ours(one, dataset)
        _, arrays = ours.check()
        arrays |= ours.for_the_peer() | {"settings": np.array(json.dumps(ours.settings()))}
        images, personal, universal = ours.rendered("encoder", all_users, ours.splits.test_images)
        arrays["test/images"] = images
        for name, maps in (("personal", personal), ("universal", universal)):
            arrays[f"test/{name}"] = np.asarray(to_relative_density(maps))
        with tempfile.TemporaryDirectory() as folder:
            path, out = Path(folder) / "data.npz", Path(folder) / "embeddings.npy"
            np.savez(path, **arrays)
            del arrays
            peer = Process(python, HERE / "networks_peer.py", path, "eager", "cpu", "float32")
            try:
                number = one.encoder.num_steps
                seconds += peer.ask("encoder/train", number)["seconds"] * number
                seconds += peer.ask(f"encoder/embed{out}", 1)["seconds"]
            finally:
                peer.close()
            embedded.append((ours.splits, np.load(out)))
    return seconds, metrics_of(config, dataset, embedded), peer.about["versions"]


def main(arguments: list[str]) -> None:
    """Measures, prints the table and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--peer", type=Path, help="a Python that has PyTorch")
    parser.add_argument("--data-dir", type=str, help="folder of the prepared data sets")
    parser.add_argument("--folds", type=int, default=3, choices=(1, 2, 3))
    parser.add_argument("--our-steps", type=int, default=400)
    parser.add_argument("--their-steps", type=int, default=840)
    parser.add_argument("--out", type=Path, default=RESULTS / "time_to_accuracy.json")
    options = parser.parse_args(arguments)

    about = machine()
    ours, theirs = osie.get_config(), osie_maps.get_config()
    for config, number in ((ours, options.our_steps), (theirs, options.their_steps)):
        config.data.data_dir = options.data_dir
        config.encoder.num_steps = number
    configure_host_devices(batch_divisor(ours))
    report: dict[str, Any] = {"machine": about, "setting": {"folds": options.folds}}
    report["versions"] = {"gazejax": versions("jax", "jaxlib", "flax", "optax", "numpy")}
    seconds, metrics = train_ours(ours, options.folds)
    report["gazejax"] = {"seconds": seconds, "steps": options.our_steps, "metrics": metrics}
    if options.peer:
        seconds, metrics, about_peer = train_theirs(theirs, options.folds, options.peer)
        report["pytorch"] = {"seconds": seconds, "steps": options.their_steps, "metrics": metrics}
        report["versions"]["pytorch"] = about_peer
        report["ratio"] = report["gazejax"]["seconds"] / seconds
    sides = [side for side in ("gazejax", "pytorch") if side in report]
    rows = [["seconds", *(f"{report[side]['seconds']:.0f}" for side in sides)]]
    rows += [
        [name, *(f"{report[side]['metrics'][name]:.3f}" for side in sides)] for name in metrics
    ]
    print(json.dumps(about))
    print(markdown(["", *sides], rows))
    if "ratio" in report:
        print(f"ours over PyTorch: {report['ratio']:.2f}")
    write_report(options.out, report)


if __name__ == "__main__":
    main(sys.argv[1:])
