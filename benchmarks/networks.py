"""Speed of training and inference of the networks, compared with PyTorch.

    python benchmarks/networks.py --peer .venv-peers/bin/python

Both sides use all cores, or `--cores` of them. With one core, speeds are per CPU second, which
other load of the machine affects least: threads of PyTorch spin while they wait for each other. Our
side is the product: the train step of `gazejax.training.step` on the stages of
configs/osie_maps.py, on as many host devices as train.py makes. The step samples its batch and
renders its maps. PyTorch (networks_peer.py) has the same networks and losses, and maps that are
rendered beforehand. PyTorch is not compiled by default, because `--modes compiled` was no faster.
Both sides keep freed memory (see `gazejax.runtime.allocator`). The benchmark first checks that the
networks are the same, by the loss and the norm of the gradient of one batch from the same
parameters. Compilation is not timed. Without `--peer` only our side runs.
"""

import before_pyarrow  # noqa: F401

# isort: split

import argparse
import functools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array
from measuring import (
    HERE,
    RESULTS,
    Process,
    machine,
    markdown,
    summarize,
    take_turns,
    versions,
    with_quartiles,
    write_report,
)
from ml_collections import ConfigDict

sys.path.insert(0, str(HERE.parent))  # configs build on each other.

import generated

from gazejax import losses
from gazejax.config.derived import batch_divisor
from gazejax.configs import osie_maps
from gazejax.data.loading import make_config_splits
from gazejax.inference.networks import Network
from gazejax.inference.stage_inputs import both_stage_inputs
from gazejax.inputs.maps import MapSpec, to_relative_density
from gazejax.inputs.pairs import gather_pairs
from gazejax.inputs.viewing_vectors import gather, look_up, to_dense
from gazejax.runtime.devices import replicated
from gazejax.training.devices import choose_devices, configure_host_devices
from gazejax.training.run import make_stage
from gazejax.training.stage import Stage
from gazejax.training.step import init_state, make_train_step
from gazejax.types import Dataset

NUM_USERS, NUM_IMAGES = 15, 150  # About 10 seen users and 120 training images.
INFERENCE_BATCH = 256
# Name -> unit, our case, and the cases of the peer. The trunk of the saliency network runs once for
# all users of an image (`shared`) or once for each map (`apart`).
CASES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "stage 1, training": ("images", "encoder/train", ("encoder/train",)),
    "stage 1, inference": ("images", "encoder/predict", ("encoder/predict",)),
    "stage 2, training, one user per image": (
        "maps",
        "saliency/train/64/1",
        ("saliency/train/apart/64/1",),
    ),
    "stage 2, training, 8 users per image": (
        "maps",
        "saliency/train/8/8",
        ("saliency/train/shared/8/8", "saliency/train/apart/8/8"),
    ),
    "stage 2, inference, one user per image": (
        "maps",
        "saliency/predict/64/1",
        ("saliency/predict/apart/64/1",),
    ),
    "stage 2, inference, 8 users per image": (
        "maps",
        "saliency/predict/8/8",
        ("saliency/predict/shared/8/8", "saliency/predict/apart/8/8"),
    ),
    # As `predict_many` does for one picture.
    "stage 2, inference, 20 users on one image": (
        "maps",
        "saliency/predict/1/20",
        ("saliency/predict/shared/1/20",),
    ),
    "stage 2, inference, 100 users on one image": (
        "maps",
        "saliency/predict/1/100",
        ("saliency/predict/shared/1/100",),
    ),
}
NOTES = """\
Examples per second: the median over rounds, and the quartiles. A ratio is our speed divided by that
of PyTorch. With 8 users per image, there are two versions in PyTorch: one runs the trunk once for
all users of an image, as ours does; the simple version runs the trunk once for each map."""


class Ours:
    """Our cases on a data set."""

    def __init__(self, config: ConfigDict, dataset: Dataset):
        self.config = config
        self.devices = choose_devices(batch_divisor(config))
        self.splits = make_config_splits(config, dataset)
        self.inputs = both_stage_inputs(config, dataset, self.splits)
        self.encoder_params = self.initial_params(self.stage("encoder", config))

    def stage(self, name: str, config: ConfigDict) -> Stage:
        """Makes a stage of the product."""
        return make_stage(
            name,
            config,
            self.inputs,
            encoder_params=None if name == "encoder" else self.encoder_params,
            devices=self.devices,
        )

    def initial_params(self, stage: Stage) -> Any:
        """Initial parameters of a stage."""
        return init_state(stage.network.init, stage.optimizer, self.config.seed).params

    def examples(self, case: str) -> int:
        """Number of pairs or maps in one call of a case."""
        stage, what, *sizes = case.split("/")
        if stage == "saliency":
            return int(sizes[0]) * int(sizes[1])
        if what == "train":
            return self.stage(stage, self.config).examples_per_step
        return INFERENCE_BATCH

    def call(self, case: str) -> Callable[[int], None]:
        """Compiles a case; returns a function that runs it a number of times and waits."""
        name, what, *sizes = case.split("/")
        config = self.config.copy_and_resolve_references()
        if sizes:
            config.saliency.batch.update(num_images=int(sizes[0]), users_per_image=int(sizes[1]))
        stage = self.stage(name, config)
        if what == "train":
            return self._train(stage)
        make = _embed if name == "encoder" else _predict
        predict = make(stage.network, self.inputs[name].spec)
        return self._predict(stage, predict, self._rows(case))

    def _train(self, stage: Stage) -> Callable[[int], None]:
        step = make_train_step(
            stage.loss, stage.optimizer, devices=self.devices, steps_per_dispatch=1
        )
        state = init_state(stage.network.init, stage.optimizer, self.config.seed)
        kept = {"state": jax.device_put(state, replicated(self.devices))}

        def run(times: int) -> None:
            for _ in range(times):
                kept["state"], metrics = step(kept["state"], stage.constants, None)
            jax.block_until_ready(metrics)

        run(1)
        return run

    def _predict(
        self, stage: Stage, predict: Callable[..., Array], rows: tuple[np.ndarray, ...]
    ) -> Callable[[int], None]:
        number = min(len(self.devices), len(rows[0]))  # One image is predicted on one device.
        devices = self.devices[:number]
        step = jax.pmap(predict, in_axes=(None, *[0] * len(rows)), devices=devices)
        params = jax.device_put(self.initial_params(stage), replicated(devices))
        shares = [row.reshape(number, len(row) // number, *row.shape[1:]) for row in rows]

        def run(times: int) -> None:
            for _ in range(times):
                found = step((params, stage.constants), *shares)
            jax.block_until_ready(found)

        run(1)
        return run

    def _rows(self, case: str) -> tuple[np.ndarray, ...]:
        generator = np.random.default_rng(1)
        users, images = self.splits.seen_users, self.splits.train_images
        if case.startswith("encoder"):
            return tuple(generator.choice(of, INFERENCE_BATCH) for of in (users, images))
        num_images, users_per_image = map(int, case.split("/")[2:])
        sampled = generator.choice(len(images), num_images, replace=False)
        # More users than there are seen: some more than once.
        numbers = np.arange(max(len(users), users_per_image)) % len(users)
        return images[sampled], generator.permuted(np.tile(numbers, (num_images, 1)), axis=1)[
            :, :users_per_image
        ]

    def check(self) -> tuple[dict[str, dict[str, float]], dict[str, np.ndarray]]:
        """Loss and norm of the gradient of one batch, and that batch."""
        config, arrays = self.config, {}
        stage = self.stage("encoder", config)
        images_per_user = config.encoder.batch.images_per_user
        users = np.arange(config.encoder.batch.num_users)
        arrays_of_stage, spec = self.inputs["encoder"]
        pairs = gather_pairs(
            arrays_of_stage,
            jnp.repeat(self.splits.seen_users[users], images_per_user),
            jnp.tile(self.splits.train_images[:images_per_user], len(users)),
            spec,
        )
        inputs, residual = stage.network.prepare(pairs)

        def encoder_loss(params: Any) -> Array:
            model = stage.network.apply(params)
            embeddings = model.encoder(inputs, residual).reshape(len(users), images_per_user, -1)
            terms = config.encoder.loss
            triplet, _ = losses.mined_triplet_loss(
                losses.l2_normalize(embeddings) if terms.l2_normalize else embeddings,
                jax.random.key(0),
                margin=terms.margin,
                distance=terms.distance,
                mining=terms.mining,
            )
            classification = optax.losses.softmax_cross_entropy_with_integer_labels(
                model.classifier(embeddings), jnp.tile(users[:, None], (1, images_per_user))
            )
            return triplet + classification.mean()

        arrays |= {"check/inputs": inputs, "check/users": users}
        found = {"encoder": _loss_and_norm(encoder_loss, self.encoder_params)}

        stage = self.stage("saliency", config)
        users_per_image, images = config.saliency.batch.users_per_image, 2
        arrays_of_stage, spec = self.inputs["saliency"]
        maps = gather_pairs(
            arrays_of_stage,
            jnp.tile(self.splits.seen_users[:users_per_image], images),
            jnp.repeat(self.splits.train_images[:images], users_per_image),
            spec,
        )
        target = to_relative_density(maps.personal)
        first = np.zeros(users_per_image, int)
        embedding = gather(stage.constants[2], np.arange(users_per_image), first)
        embedding = jnp.tile(embedding, (images, 1))
        pixels = arrays_of_stage.images[self.splits.train_images[:images]]
        # Layers whose kernels are zero would hide the layers before them.
        params = jax.tree.map(
            lambda value: value + 0.05 * jnp.sin(jnp.arange(value.size)).reshape(value.shape),
            self.initial_params(stage),
        )

        def saliency_loss(params: Any) -> Array:
            shape = (images, users_per_image, *target.shape[1:])
            prediction = stage.network.apply(params)(
                pixels,
                maps.universal.reshape(shape),
                embedding.reshape(images, users_per_image, -1),
            )
            scaled = to_relative_density(prediction)
            return losses.mean_squared_error(prediction=scaled, target=target.reshape(shape)).mean()

        arrays |= {
            "check/images": pixels,
            "check/universal": maps.universal,
            "check/embedding": embedding,
            "check/target": target,
        }
        found["saliency"] = _loss_and_norm(saliency_loss, params)
        arrays |= _named_params("encoder", self.encoder_params) | _named_params("saliency", params)
        return found, {name: np.asarray(value) for name, value in arrays.items()}

    def rendered(
        self, name: str, users: np.ndarray, images: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images, and personal and universal maps [user, image, height, width]."""
        arrays, spec = self.inputs[name]
        make = jax.jit(functools.partial(gather_pairs, spec=spec))
        pairs = [
            jax.device_get(make(arrays, jnp.full_like(images, user), images)) for user in users
        ]
        personal, universal = (
            np.stack([getattr(of_user, kind) for of_user in pairs])
            for kind in ("personal", "universal")
        )
        return arrays.images[images], personal, universal

    def for_the_peer(self) -> dict[str, np.ndarray]:
        """Images, rendered maps and embeddings of the seen users and training images."""
        arrays = {}
        pool = self.splits.seen_users, self.splits.train_images
        arrays["encoder/images"], personal, universal = self.rendered("encoder", *pool)
        arrays["encoder/personal"] = np.asarray(to_relative_density(personal))
        arrays["encoder/universal"] = np.asarray(to_relative_density(universal))
        arrays["saliency/images"], personal, universal = self.rendered("saliency", *pool)
        arrays["saliency/universal"] = universal
        target = to_relative_density(personal)
        arrays["saliency/target"] = np.asarray(target)
        embeddings = self.stage("saliency", self.config).constants[2]
        arrays["saliency/embedding"] = to_dense(embeddings).mean(axis=1)
        return arrays

    def settings(self) -> dict[str, Any]:
        """Settings of the networks and losses of the peer."""
        encoder, saliency = self.config.encoder.to_dict(), self.config.saliency.to_dict()
        model, unet = encoder["model"], saliency["model"]
        return {
            "encoder": {name: model[name] for name in ("filters", "norm_groups", "embedding_size")}
            | {
                "maps": [name for name in model["inputs"] if name != "image"],
                "in_channels": 2 + len(model["inputs"]),
                "num_users": len(self.splits.seen_users),
                "users_in_batch": encoder["batch"]["num_users"],
                "images_per_user": encoder["batch"]["images_per_user"],
                "margin": encoder["loss"]["margin"],
                "num_steps": encoder["num_steps"],
                "optimizer": encoder["optimizer"],
            },
            "saliency": {
                name: unet[name] for name in ("trunk_filters", "decoder_filters", "norm_groups")
            }
            | {
                "num_steps": saliency["num_steps"],
                "optimizer": saliency["optimizer"],
                "users_per_image": saliency["batch"]["users_per_image"],
            },
            "inference_batch": INFERENCE_BATCH,
        }


def _embed(network: Network, spec: MapSpec) -> Callable[..., Array]:
    def embed(constants: Any, user: Array, image: Array) -> Array:
        params, arrays = constants
        return network.embed(params, gather_pairs(arrays, user, image, spec))

    return embed


def _predict(network: Network, spec: MapSpec) -> Callable[..., Array]:
    def predict(constants: Any, images: Array, users: Array) -> Array:
        params, (arrays, _, embeddings) = constants
        pairs = gather_pairs(
            arrays,
            jnp.asarray(arrays.pool.users)[users.reshape(-1)],
            jnp.repeat(images, users.shape[1]),
            spec,
        )
        universal = pairs.universal.reshape(*users.shape, *pairs.universal.shape[1:])
        pixels = jnp.asarray(arrays.images)[images]
        embedding = look_up(embeddings, users, jnp.zeros_like(users))
        return network.apply(params)(pixels, universal, embedding)

    return predict


def _loss_and_norm(loss: Callable[[Any], Array], params: Any) -> dict[str, float]:
    value, gradient = jax.jit(jax.value_and_grad(loss))(params)
    return {"loss": float(value), "gradient_norm": float(optax.tree.norm(gradient))}


def _named_params(root: str, params: Any) -> dict[str, np.ndarray]:
    return {
        "params/" + "/".join([root, *(str(key.key) for key in path)]): np.asarray(value)
        for path, value in jax.tree_util.tree_leaves_with_path(params)
    }


def differences(ours: dict, theirs: dict) -> dict[str, float]:
    """Largest relative difference of loss and gradient norm, for each network of the peer."""
    return {
        name: max(
            abs(values[kind] / ours[name.split()[0]][kind] - 1)
            for kind in ("loss", "gradient_norm")
        )
        for name, values in theirs.items()
    }


def measure(
    ours: Ours,
    peers: dict[str, Process],
    *,
    rounds: int,
    seconds: float,
    cases: list[str],
    clock: str,
) -> list[dict]:
    """Measures each case, with alternating sides; returns a row for each case.

    `clock` is `seconds` of wall-clock time, or `cpu_seconds` of the process of a side.
    """
    rows = []
    for name in cases:
        unit, our_case, peer_cases = CASES[name]
        examples = ours.examples(our_case)
        run = ours.call(our_case)

        def time_ours(times: int, run: Callable = run) -> dict[str, float]:
            start, cpu_start = time.perf_counter(), time.process_time()
            run(times)
            return {
                "seconds": (time.perf_counter() - start) / times,
                "cpu_seconds": (time.process_time() - cpu_start) / times,
            }

        ask: dict[str, Callable[[int], dict[str, float]]] = {"gazejax": time_ours}
        for mode, peer in peers.items():
            for case in peer_cases:
                kind = " ".join(part for part in case.split("/")[2:3])
                side = " ".join(part for part in ("pytorch", mode, kind) if part)
                ask[side] = functools.partial(peer.ask, case)
        busy: dict[str, list[float]] = {side: [] for side in ask}
        sides = {}
        for side, of_side in ask.items():
            of_side(1)  # Compiles, if the side is compiled.
            times = max(1, round(seconds / of_side(2)["seconds"]))

            sides[side] = functools.partial(_take, of_side, times, clock, busy[side])
        measured = take_turns(sides, rounds)
        row: dict[str, Any] = {"case": name, "unit": unit}
        for side, taken in measured.items():
            row[side] = summarize([examples / one for one in taken])
            row[side]["cores_busy"] = float(np.median(busy[side][1:]))
        for side in list(measured)[1:]:
            row[f"ratio {side}"] = row["gazejax"]["median"] / row[side]["median"]
        rows.append(row)
        print(as_markdown([row]), flush=True)
    return rows


def _take(
    ask: Callable[[int], dict[str, float]], times: int, clock: str, busy: list[float]
) -> float:
    """Runs one turn of a side; appends the number of cores that it kept busy to `busy`."""
    found = ask(times)
    busy.append(found["cpu_seconds"] / found["seconds"])
    return found[clock]


def as_markdown(rows: list[dict]) -> str:
    """The rows as a Markdown table, a line for each side of each case."""
    lines = []
    for row in rows:
        for side, summary in row.items():
            if isinstance(summary, dict):
                ratio = row.get(f"ratio {side}")
                lines.append(
                    [
                        row["case"],
                        side,
                        f"{with_quartiles(summary, 0)} {row['unit']}/s",
                        f"{summary['cores_busy']:.2f}",
                        "" if ratio is None else f"{ratio:.2f}",
                    ]
                )
    return markdown(["case", "side", "speed", "cores busy", "ours over it"], lines)


def main(arguments: list[str]) -> None:
    """Measures, prints the table and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--peer", type=Path, help="a Python that has PyTorch")
    parser.add_argument("--modes", nargs="+", default=["eager"], choices=["eager", "compiled"])
    parser.add_argument(
        "--cases",
        nargs="+",
        choices=list(CASES),
        help="default: all; on several cores, those whose images devices can share",
    )
    parser.add_argument(
        "--cores", type=int, help="for both sides; with one, CPU time is measured; default: all"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one turn of one side")
    parser.add_argument("--images", type=int, default=NUM_IMAGES)
    parser.add_argument("--image-size", type=int, nargs=2, help="of both networks; default: theirs")
    parser.add_argument("--out", type=Path, default=RESULTS / "networks.json")
    options = parser.parse_args(arguments)

    shared = [name for name in CASES if options.cores == 1 or not name.endswith("on one image")]
    cases = options.cases or shared
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    about = machine()
    config = osie_maps.get_config()
    config.split.test_rule = "hash"
    if options.image_size:
        config.encoder.image_size = config.saliency.image_size = tuple(options.image_size)
    configure_host_devices(batch_divisor(config))
    ours = Ours(
        config,
        generated.make_dataset(config, num_users=NUM_USERS, num_images=options.images, seed=0),
    )
    peers, check = {}, None
    try:
        if options.peer:
            our_check, arrays = ours.check()
            arrays |= ours.for_the_peer() | {"settings": np.array(json.dumps(ours.settings()))}
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "data.npz"
                np.savez(path, **arrays)
                for mode in options.modes:
                    peers[mode] = Process(
                        options.peer, HERE / "networks_peer.py", path, mode, "cpu", "float32"
                    )
            check = differences(our_check, next(iter(peers.values())).about["check"])
            print(f"relative differences from PyTorch: {json.dumps(check)}")
        rows = measure(
            ours,
            peers,
            rounds=options.rounds,
            seconds=options.seconds,
            cases=cases,
            clock="cpu_seconds" if options.cores == 1 else "seconds",
        )
    finally:
        for peer in peers.values():
            peer.close()
    report = {
        "machine": about | {"host_devices": len(ours.devices)},
        "versions": {
            "gazejax": versions("jax", "jaxlib", "flax", "optax", "numpy"),
            "pytorch": next(iter(peers.values())).about["versions"] if peers else None,
        },
        "setting": {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "cores": options.cores or about["cores_used"],
        },
        "relative_differences": check,
        "notes": NOTES.replace("\n", " "),
        "rows": rows,
    }
    print(f"\n{as_markdown(rows)}\n\n{NOTES}")
    write_report(options.out, report)


if __name__ == "__main__":
    main(sys.argv[1:])
