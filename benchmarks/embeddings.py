"""Speed of embedding, compared with PyTorch running the paper's kind of encoder.

    python benchmarks/embeddings.py --peer .venv-peers/bin/python

The data are generated; every user sees every image. Our side is the encoder of configs/osie.py,
from pixels and fixations. It runs the backbone and the principal components once for each image.
For all users of the image it then renders maps and computes the preference vectors and the deep
set. PyTorch runs the encoder of configs/osie_paper.py (image and personal map, four convolutions)
once for each user and image, on maps that are rendered beforehand. docs/results/ compares the
accuracy of both encoders: on OSIE, ours verifies users better at every n.

The ratio depends on the number of users per image: the cost of our side is mostly per image, that
of the other side per user and image. If a data set is embedded again, its features are cached:
`features known`.
"""

import before_pyarrow  # noqa: F401

# isort: split

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from measuring import (
    HERE,
    RESULTS,
    Process,
    machine,
    markdown,
    seconds_of,
    summarize,
    take_turns,
    versions,
    with_quartiles,
    write_report,
)

sys.path.insert(0, str(HERE.parent))  # configs build on each other.

import generated
import networks

from gazejax.config.derived import batch_divisor
from gazejax.configs import osie, osie_paper
from gazejax.data import features, pretrained
from gazejax.inference.networks import encoder_network
from gazejax.inputs.maps import MapSpec, scanpath_maps
from gazejax.inputs.pairs import make_pairs
from gazejax.models.scanpath_encoder import preference_vector
from gazejax.training.devices import configure_host_devices
from gazejax.types import viewing_scanpaths


class Recommended:
    """Our encoder on generated images; every user sees every image."""

    def __init__(self, num_users: int, num_images: int):
        config = osie.get_config()
        self.num_images, self.num_users = num_images, num_users
        self.params = pretrained.load_parameters()["backbone"]
        dataset = generated.make_dataset(config, num_users=num_users, num_images=num_images, seed=0)
        self.pixels, self.strides = dataset.images["saliency"], config.features.strides
        self.size = config.saliency.map_size
        levels = features.backbone_levels(self.params, self.pixels, self.strides)
        self.projection = features.fit_projection(levels, config.features.components)
        self.grids = features.project(self.projection, levels, self.size)
        gaze, all_users = dataset.gaze, np.arange(num_users)
        network = encoder_network(config, num_users=num_users)
        params = jax.jit(network.init)(jax.random.key(0))
        map_size, max_fixations = config.encoder.map_size, generated.FIXATIONS_PER_VIEWING
        spec = MapSpec(map_size, config.data.sigma_frac, max_fixations)

        @jax.jit
        def embed(params: Any, gaze: Any, grids: Array, images: Array) -> Array:
            def on_image(grid: Array, image: Array) -> Array:
                at = jnp.broadcast_to(image, all_users.shape)
                scanpaths = viewing_scanpaths(gaze, all_users, at, max_fixations=max_fixations)
                aspect = gaze.aspect_ratio[at]
                total = scanpath_maps(scanpaths, aspect, spec).sum(axis=0)
                pairs = make_pairs(
                    scanpaths,
                    spec,
                    images=None,
                    aspect_ratio=aspect,
                    universal_of=lambda personal: (total - personal) / (num_users - 1),
                    preference_of=lambda residual: preference_vector(grid[None], residual),
                )
                return network.embed(params, pairs)

            return jax.lax.map(lambda one: on_image(*one), (grids, images))

        self.embed = lambda grids: jax.block_until_ready(
            embed(params, gaze, grids, np.arange(num_images))
        )
        gaze = jax.device_put(gaze)

    def from_pixels(self) -> None:
        """Embeds all pairs from pixels and fixations."""
        levels = features.backbone_levels(self.params, self.pixels, self.strides)
        self.embed(features.project(self.projection, levels, self.size))

    def with_known_features(self) -> None:
        """Embeds all pairs, with the features of the images already computed."""
        self.embed(self.grids)


def peer_data() -> dict[str, np.ndarray]:
    """The arrays with which the peer runs the paper's encoder."""
    config = osie_paper.get_config()
    config.split.test_rule = "hash"
    of_paper = networks.Ours(
        config,
        generated.make_dataset(config, num_users=networks.NUM_USERS, num_images=80, seed=0),
    )
    _, arrays = of_paper.check()
    return (
        arrays | of_paper.for_the_peer() | {"settings": np.array(json.dumps(of_paper.settings()))}
    )


def main(arguments: list[str]) -> None:
    """Measures, prints the table and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--peer", type=Path, help="a Python that has PyTorch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--users", type=int, nargs="+", default=[15, 100, 1000])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--out", type=Path, default=RESULTS / "embeddings.json")
    options = parser.parse_args(arguments)

    about = machine()
    configure_host_devices(batch_divisor(osie_paper.get_config()))
    peer = None
    if options.peer:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "data.npz"
            np.savez(path, **peer_data())
            peer = Process(options.peer, HERE / "networks_peer.py", path, "eager", "cpu", "float32")
    rows: list[dict[str, Any]] = []
    try:
        for number in options.users:
            ours = Recommended(number, options.images)
            embeddings = number * options.images

            def rate(call: Callable[[], None], embeddings: int = embeddings) -> float:
                return embeddings / seconds_of(call, 1)

            sides: dict[str, Callable[[], float]] = {
                "from pixels": lambda ours=ours: rate(ours.from_pixels),
                "features known": lambda ours=ours: rate(ours.with_known_features),
            }
            if peer:
                sides["pytorch"] = lambda: (
                    networks.INFERENCE_BATCH / peer.ask("encoder/predict", 3)["seconds"]
                )
            measured = take_turns(sides, options.rounds)
            row: dict[str, Any] = {"users_per_image": number}
            row |= {side: summarize(rates) for side, rates in measured.items()}
            if peer:
                for side in ("from pixels", "features known"):
                    row[f"ratio {side}"] = row[side]["median"] / row["pytorch"]["median"]
            rows.append(row)
    finally:
        if peer:
            peer.close()
    sides = [side for side in rows[0] if isinstance(rows[0][side], dict)]
    ratios = [name for name in rows[0] if name.startswith("ratio")]
    header = ["users per image", *(f"{side}, embeddings/s" for side in sides), *ratios]
    table = [
        [
            str(row["users_per_image"]),
            *(with_quartiles(row[side], 0) for side in sides),
            *(f"{row[ratio]:.2f}" for ratio in ratios),
        ]
        for row in rows
    ]
    print(json.dumps(about))
    print(markdown(header, table))
    report = {
        "machine": about,
        "versions": {
            "gazejax": versions("jax", "jaxlib", "flax", "numpy"),
            "pytorch": peer.about["versions"] if peer else None,
        },
        "setting": {"images": options.images, "rounds": options.rounds},
        "rows": rows,
    }
    write_report(options.out, report)


if __name__ == "__main__":
    main(sys.argv[1:])
