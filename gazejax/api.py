"""Use of a trained run: `load` a workdir, `embed` a user, `predict` the user's map.

A workdir is self-contained: it can be copied to a machine without any data set.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Shaped, UInt8
from PIL import Image

from gazejax._array_checks import (
    check_fixations,
    checked_embedding,
    checked_image,
    checked_list,
    checked_map,
    checked_numbers,
)
from gazejax.config.derived import (
    embedding_layout,
    has_preference_vector,
    input_sizes,
    map_size,
)
from gazejax.data import features, pretrained
from gazejax.data.reader import resize_image
from gazejax.inference.networks import Network, encoder_network, saliency_network
from gazejax.inference.universal import make_universal_predictor
from gazejax.inputs.maps import MapSpec
from gazejax.inputs.pairs import make_pairs
from gazejax.models.scanpath_encoder import TIMED_FEATURES, preference_vector
from gazejax.types import Scanpaths
from gazejax.workdir.guards import check_same_encoder
from gazejax.workdir.layout import latest_step, load_center_prior, load_config, load_projection
from gazejax.workdir.parameters import load_params

# Pairs and fixations are padded to multiples of these, so that few shapes are ever compiled.
_PAIRS = 8

_FIXATIONS = 32


def load(workdir: str | Path) -> "Model":
    """Loads the trained stages of a workdir.

    Raises:
        FileNotFoundError: if the folder is no workdir, or a stage has no checkpoint.
        ValueError: if a checkpoint does not load, its encoder is another than that of stage 2, or
            the folder holds several folds.
    """
    return Model(Path(workdir))


class Model:
    """A trained encoder and saliency network; make it with `load`.

    Attributes:
        config: the config of the training.
        embedding_size: number of entries of an embedding.
        needs_durations: whether the encoder was trained on the durations of fixations.
    """

    def __init__(self, workdir: Path) -> None:
        config = load_config(workdir)
        if config.split.cross_validate:
            raise ValueError(
                f"{workdir} holds {config.split.folds} folds; load one of them, such as "
                f"{workdir / 'fold_0'}"
            )
        if config.controls.embeddings != "own":
            raise ValueError(
                f"{workdir} is a control, not to be used: its saliency network was given "
                f"{config.controls.embeddings!r} for embeddings (config.controls.embeddings)"
            )
        self.config = config
        self.embedding_size = sum(embedding_layout(config))
        self.needs_durations = bool(TIMED_FEATURES & set(config.encoder.model.inputs))
        self._backbone_params, self._projection = None, load_projection(workdir)
        if self._projection is not None:
            self._backbone_params = pretrained.load_parameters()["backbone"]
        self._center_prior = load_center_prior(workdir)
        self._encoder_params = load_params(workdir, "encoder")
        self._saliency_params = load_params(workdir, "saliency")
        check_same_encoder(workdir, self._encoder_params)
        num_users = self._encoder_params["classifier"]["bias"].shape[0]
        encoder = encoder_network(config, num_users=num_users)
        spec = MapSpec(map_size(config, "encoder"), config.data.sigma_frac, _FIXATIONS)
        has_preference = has_preference_vector(config)
        self._embed_pairs = jax.jit(_make_embed(encoder, spec, has_preference=has_preference))
        self._predict_map = jax.jit(_make_predict(saliency_network(config, num_users=num_users)))
        self._universal_params = None
        if latest_step(workdir, "universal") is not None:
            self._universal_params = load_params(workdir, "universal")
        self._predict_universal = jax.jit(make_universal_predictor(config))

    def embed(
        self,
        images: Sequence[npt.ArrayLike],
        fixations: Sequence[npt.ArrayLike],
        universal: Sequence[npt.ArrayLike] | None = None,
        durations_ms: Sequence[npt.ArrayLike] | None = None,
    ) -> Float[np.ndarray, " embedding"]:
        """Embeds one user from images that the user looked at.

        Args:
            images: uint8 [height, width, 3], any sizes; at least one.
            fixations: of each image, [fixation, 2], x then y in pixels of that image. The top left
                corner is (0, 0), and the center of the first pixel (0.5, 0.5). In the order of
                looking.
            universal: the universal map of each image, [height, width] at any size and any positive
                scale. None: a predicted map.
            durations_ms: duration of each fixation in milliseconds, [fixation]; for an encoder
                with `needs_durations`, others ignore it.

        Returns:
            The user embedding: the mean over the pairs, float32.

        Raises:
            TypeError: if an image is not uint8, or fixations are not numbers.
            ValueError: if shapes or counts are wrong, a scanpath is empty, a fixation is NaN,
                infinite or outside of its image, or durations are missing or not above 0; the
                message names the argument.
        """
        images = checked_list(images, "images")
        fixations = checked_list(fixations, "fixations")
        if len(images) == 0 or len(images) != len(fixations):
            raise ValueError(
                f"images has {len(images)} entries and fixations {len(fixations)}; "
                "allowed: equally many, at least one"
            )
        if universal is not None:
            universal = checked_list(universal, "universal")
            if len(universal) != len(images):
                raise ValueError(
                    f"universal has {len(universal)} entries; allowed: one for each of the "
                    f"{len(images)} images"
                )
        pixels, points, universals, aspect_ratios, saliency_inputs = [], [], [], [], []
        image_size = input_sizes(self.config).get("encoder")
        size = map_size(self.config, "encoder")
        for number, (image, xy_px) in enumerate(zip(images, fixations, strict=True)):
            image = checked_image(image, f"images[{number}]")
            points.append(check_fixations(xy_px, image, f"fixations[{number}]"))
            aspect_ratios.append(image.shape[1] / image.shape[0])
            if image_size is not None:
                pixels.append(resize_image(image, image_size))
            saliency_inputs.append(self._saliency_input(image))
            universals.append(
                _resize_map(
                    self._universal_of(saliency_inputs[-1])
                    if universal is None
                    else checked_map(universal[number], f"universal[{number}]"),
                    size,
                )
            )
        times = self._checked_durations(durations_ms, points)
        num_pairs = len(points)
        longest = max(len(xy_frac) for xy_frac in points)
        shape = (-(-num_pairs // _PAIRS) * _PAIRS, -(-longest // _FIXATIONS) * _FIXATIONS)
        xy_frac = np.zeros((*shape, 2), np.float32)
        times_ms, mask = np.zeros(shape, np.float32), np.zeros(shape, bool)
        for row, (xy, duration_ms) in enumerate(zip(points, times, strict=True)):
            used = slice(len(xy))
            xy_frac[row, used], times_ms[row, used], mask[row, used] = xy, duration_ms, True
        batch = (
            _padded(np.stack(pixels), shape[0]) if pixels else None,
            Scanpaths(*map(jnp.asarray, (xy_frac, times_ms, mask))),
            _padded(np.array(aspect_ratios, np.float32), shape[0]),
            _padded(np.stack(universals).astype(np.float32), shape[0]),
            _padded(np.stack(saliency_inputs), shape[0]),
        )
        chunks = [
            self._embed_pairs(
                self._encoder_params,
                *jax.tree.map(lambda rows: rows[start : start + _PAIRS], batch),  # noqa: B023
            )
            for start in range(0, shape[0], _PAIRS)
        ]
        return np.concatenate(chunks)[:num_pairs].mean(axis=0)

    def predict(
        self,
        image: npt.ArrayLike,
        embedding: npt.ArrayLike | None = None,
        universal: npt.ArrayLike | None = None,
    ) -> Float[np.ndarray, "height width"]:
        """Predicts where a user looks in an image.

        Args:
            image: uint8 [height, width, 3], any size.
            embedding: of the user, [embedding], as `embed` returns it. None: the universal map is
                returned.
            universal: the universal map of the image, [height, width] at any size and any positive
                scale. None: a predicted map.

        Returns:
            A map of the image's size that sums to 1, float32.

        Raises:
            TypeError: if the image is not uint8, or another argument is not of numbers.
            ValueError: if a shape is wrong or a value is NaN, infinite or (in a map) negative.
        """
        image = checked_image(image, "image")
        saliency_input = self._saliency_input(image)
        if universal is None:
            universal = self._universal_of(saliency_input)
        else:
            universal = checked_map(universal, "universal")
        if embedding is None:
            return _resize_map(universal, image.shape[:2])
        saliency = self._predict_map(
            self._saliency_params,
            saliency_input,
            _resize_map(universal, self.config.saliency.map_size),
            checked_embedding(embedding, self.embedding_size),
        )
        return _resize_map(np.asarray(saliency), image.shape[:2])

    def _saliency_input(
        self, image: UInt8[np.ndarray, "height width 3"]
    ) -> Shaped[np.ndarray, "_height _width _channel"]:
        """What the saliency network sees of an image: its pixels, or its frozen features."""
        config = self.config
        pixels = resize_image(image, input_sizes(config)["saliency"])
        if self._projection is None:
            return pixels
        levels = features.backbone_levels(
            self._backbone_params, pixels[None], config.features.strides
        )
        return features.project(self._projection, levels, config.saliency.map_size)[0]

    def _checked_durations(
        self, durations_ms: Any, fixations: Sequence[np.ndarray]
    ) -> list[Float[np.ndarray, " fixation"]]:
        """Durations of the fixations of each image; zeros if the encoder needs none."""
        if not self.needs_durations:
            return [np.zeros(len(xy_frac)) for xy_frac in fixations]
        if durations_ms is None:
            raise ValueError(
                "durations_ms is missing; this encoder was trained on the durations of fixations"
            )
        durations = checked_list(durations_ms, "durations_ms")
        if len(durations) != len(fixations):
            raise ValueError(
                f"durations_ms has {len(durations)} entries; allowed: one for each of the "
                f"{len(fixations)} images"
            )
        checked = []
        for number, (duration_ms, xy_frac) in enumerate(zip(durations, fixations, strict=True)):
            name = f"durations_ms[{number}]"
            values = checked_numbers(duration_ms, name)
            if values.shape != (len(xy_frac),):
                raise ValueError(
                    f"{name} has shape {values.shape}; allowed: one for each of the "
                    f"{len(xy_frac)} fixations"
                )
            if (values <= 0).any():
                raise ValueError(f"{name} holds {values.min():g}; allowed: above 0")
            checked.append(values)
        return checked

    def _universal_of(
        self, saliency_input: Shaped[np.ndarray, "_height _width _channel"]
    ) -> Float[np.ndarray, "map_height map_width"]:
        """Predicts a universal map; the mean training map where networks were given that one."""
        prior = self._center_prior["saliency"]
        uses_prior = self.config.data.universal_map == "center_prior"
        if self._universal_params is None or uses_prior:
            return prior
        return np.asarray(
            self._predict_universal(self._universal_params, saliency_input[None], prior)
        )[0]


def _make_embed(network: Network, spec: MapSpec, *, has_preference: bool) -> Any:
    def embed(
        params: Any,
        images: jax.Array | None,
        scanpaths: Scanpaths,
        aspect_ratio: jax.Array,
        universal: jax.Array,
        saliency_inputs: jax.Array,
    ) -> jax.Array:
        pairs = make_pairs(
            scanpaths,
            spec,
            images=images,
            aspect_ratio=aspect_ratio,
            universal_of=lambda _: universal,
            preference_of=lambda residual: (
                preference_vector(saliency_inputs, residual) if has_preference else None
            ),
        )
        return network.embed(params, pairs)

    return embed


def _make_predict(network: Network) -> Any:
    def predict(
        params: Any, saliency_input: jax.Array, universal: jax.Array, embedding: jax.Array
    ) -> jax.Array:
        maps = network.apply(params)(
            saliency_input[None], jnp.asarray(universal)[None, None], embedding[None, None]
        )
        return maps[0, 0]

    return predict


def _padded(rows: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([rows, np.repeat(rows[-1:], length - len(rows), axis=0)])


def _resize_map(
    saliency: Float[np.ndarray, "height width"], size: tuple[int, int]
) -> Float[np.ndarray, "new_height new_width"]:
    """Resizes a map bilinearly and makes it sum to 1."""
    picture = Image.fromarray((saliency / saliency.max()).astype(np.float32))
    resized = np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))
    return (resized / resized.sum(dtype=np.float64)).astype(np.float32)
