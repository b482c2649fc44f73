"""Use of a trained run: `load` a workdir, `embed` a user, `predict` the user's map.

A workdir is self-contained: it can be copied to a machine without any data set.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int, Shaped, UInt8

from gazejax._array_checks import (
    check_fixations,
    checked_durations,
    checked_embedding,
    checked_gaze,
    checked_image,
    checked_list,
    checked_map,
    checked_users,
    finite_embeddings,
    finite_map,
)
from gazejax.config.derived import (
    INPUTS,
    embedding_layout,
    has_preference_vector,
    input_sizes,
    map_size,
)
from gazejax.data import features, pretrained
from gazejax.data.looks import warn_of_units
from gazejax.data.reader import kept_fixations, resize_image, resize_map
from gazejax.inference.compiled import make_embed, make_predict, padded
from gazejax.inference.networks import encoder_network, saliency_network
from gazejax.inference.universal import make_universal_predictor
from gazejax.inputs.maps import MapSpec
from gazejax.models.scanpath_encoder import TIMED_FEATURES
from gazejax.runtime.devices import check_not_forked, in_32_bits
from gazejax.runtime.files import expand_home
from gazejax.types import Scanpaths
from gazejax.workdir import checkpoints
from gazejax.workdir.finished import load_finished
from gazejax.workdir.guards import check_same_encoder
from gazejax.workdir.layout import load_center_prior, load_config, load_projection
from gazejax.workdir.parameters import digest_of_run

# Pairs are padded to a multiple of 8, fixations to 128, 256, ...: few shapes are ever compiled.
_PAIRS = 8
_FIXATIONS = 128


def load(workdir: str | Path) -> "Model":
    """Loads the trained stages of a workdir; a leading `~` is the home folder.

    Raises:
        FileNotFoundError: if the folder is no workdir, or a stage that it trains has no checkpoint.
        ValueError: if a stage is not finished or its last checkpoint damaged, the encoder is not
            that of stage 2, the folder holds several folds, or this process was forked after JAX
            had started.
    """
    return Model(workdir)


def _load_same(workdir: str, digest: str) -> "Model":
    """Loads a pickled model again; refuses a workdir that has changed since."""
    model = load(workdir)
    if model.digest != digest:
        raise ValueError(
            f"{workdir} has changed since the model was pickled: its digest was "
            f"{digest[:12]} and is now {model.digest[:12]}; pickle the model again"
        )
    return model


class PersonalGaze(NamedTuple):
    """The gaze of one user on one image, for `Model.embed_people`.

    Attributes:
        xy_px: [fixation, 2], see `Model.embed`; trials one after the other.
        trial: [fixation], integers, number of the viewing.
        duration_ms: [fixation], milliseconds; None: not known.
    """

    xy_px: npt.ArrayLike
    trial: npt.ArrayLike
    duration_ms: npt.ArrayLike | None


class _Seen(NamedTuple):
    """What networks see of an image; `saliency_input` is frozen features, or pixels."""

    pixels: np.ndarray | None
    aspect_ratio: float
    universal: np.ndarray
    saliency_input: np.ndarray


class Model:
    """A trained encoder and saliency network; make it with `load`.

    A pickled model is the path of its workdir and a digest; unpickling loads the workdir again.

    Attributes:
        workdir: absolute path of the workdir.
        digest: SHA-256 of all that embeddings and maps depend on.
        config: the config of the training.
        embedding_size: number of entries of an embedding.
        needs_durations: whether the encoder was trained on the durations of fixations.
        encoder_digest: SHA-256 of the encoder's parameters: embeddings of one encoder only can be
            compared, and given to `predict`.
    """

    @in_32_bits
    def __init__(self, workdir: str | Path) -> None:
        check_not_forked()
        workdir = self.workdir = Path(expand_home(workdir)).absolute()
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
        has_preference = has_preference_vector(config)
        self._backbone_params = None
        self._projection = load_projection(workdir, is_needed=has_preference)
        if self._projection is not None:
            self._backbone_params = pretrained.load_parameters()["backbone"]
        self._center_prior = load_center_prior(
            workdir, {name: map_size(config, name) for name in INPUTS}
        )
        params = load_finished(workdir)
        self._encoder_params, self._saliency_params = params["encoder"], params["saliency"]
        check_same_encoder(workdir, self._encoder_params)
        num_users = self._encoder_params["classifier"]["bias"].shape[0]
        encoder = encoder_network(config, num_users=num_users)
        spec = MapSpec(map_size(config, "encoder"), config.data.sigma_frac, _FIXATIONS)
        self._embed_pairs = jax.jit(make_embed(encoder, spec, has_preference=has_preference))
        self._predict_map = jax.jit(make_predict(saliency_network(config, num_users=num_users)))
        self._universal_params = params.get("universal")
        self.encoder_digest = checkpoints.digest(self._encoder_params)
        every = (self._encoder_params, self._saliency_params, self._universal_params)
        self.digest = digest_of_run(every, config.to_dict(), self._center_prior, self._projection)
        self._predict_universal = jax.jit(make_universal_predictor(config))

    def __reduce__(self) -> tuple[Any, ...]:
        return _load_same, (str(self.workdir), self.digest)

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

        The filters of the training (`config.data`) apply to the fixations of each image as to one
        trial. A UserWarning says if the fixations or durations look like other units.

        Returns:
            The user embedding: the mean over the pairs, float32.

        Raises:
            TypeError: if an image is not uint8, or fixations are not numbers.
            ValueError: if shapes or counts are wrong, a scanpath is empty, a fixation is not finite
                or outside, or durations are missing or not above 0; the argument is named.
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
        seen, points, shapes = [], [], []
        for number, (image, xy_px) in enumerate(zip(images, fixations, strict=True)):
            image = checked_image(image, f"images[{number}]")
            shapes.append(image.shape)
            points.append(check_fixations(xy_px, image, f"fixations[{number}]"))
            name = f"universal[{number}]"
            chosen = None if universal is None else checked_map(universal[number], name)
            seen.append(self._see(image, chosen))
        times = checked_durations(durations_ms, points, is_needed=self.needs_durations)
        warn_of_units(points, shapes, times, has_durations=self.needs_durations)
        viewings = []
        for number, (xy_frac, duration_ms) in enumerate(zip(points, times, strict=True)):
            kept = self._kept(np.zeros(len(xy_frac), np.int64))
            if not len(kept):
                raise ValueError(
                    f"fixations[{number}] has {len(xy_frac)} fixations, of which the filters of "
                    "the training leave none (config.data); allowed: leave this image out"
                )
            viewings.append((xy_frac[kept], duration_ms[kept]))
        names = [f"fixations[{number}]" for number in range(len(viewings))]
        return self._embed_viewings(seen, viewings, names).mean(axis=0)

    def embed_people(
        self, viewings: Iterable[tuple[npt.ArrayLike, Mapping[str, PersonalGaze]]]
    ) -> dict[str, tuple[Float[np.ndarray, " embedding"], int]]:
        """Embeds many users; what networks see of an image is computed once for all its users.

        Args:
            viewings: of each image, the image, uint8 [height, width, 3], and the gaze of each user
                on it.

        Returns:
            The embedding of each user, as `embed` returns it, and the number of images behind it.
            Without: users of whom the filters of the training leave no fixation.

        Raises:
            TypeError, ValueError: see `embed`; the message names the user and the argument.
        """
        pairs: dict[str, list[np.ndarray]] = {}
        waiting: list[tuple[str, str, Any, Any]] = []

        def embed_waiting(number: int) -> None:
            users, names, seen, gaze = zip(*waiting[:number], strict=True)
            for user, embedding in zip(users, self._embed_viewings(seen, gaze, names), strict=True):
                pairs.setdefault(user, []).append(embedding)
            del waiting[:number]

        for number, (image, gaze_by_user) in enumerate(viewings):
            image = checked_image(image, f"images[{number}]")
            seen = self._see(image, None)
            for user, gaze in checked_users(gaze_by_user, f"gaze on image {number}").items():
                name = f"gaze of {user!r} on image {number}"
                xy_frac, trial, duration_ms = checked_gaze(
                    gaze, image, name, needs_durations=self.needs_durations
                )
                kept = self._kept(trial)
                if len(kept):
                    waiting.append((user, name, seen, (xy_frac[kept], duration_ms[kept])))
            if len(waiting) >= _PAIRS:
                embed_waiting(len(waiting) // _PAIRS * _PAIRS)
        if waiting:
            embed_waiting(len(waiting))
        return {user: (np.stack(found).mean(axis=0), len(found)) for user, found in pairs.items()}

    def _kept(self, trial: Int[np.ndarray, " fixation"]) -> Int[np.ndarray, " kept"]:
        """Fixations on an image that the filters of the training leave, by their indices."""
        data = self.config.data
        return kept_fixations(
            np.zeros(len(trial), np.int64),
            trial,
            first_trial_only=data.first_trial_only,
            drop_first_fixation=data.drop_first_fixation,
            subsample_every=data.subsample_every,
        )

    @in_32_bits
    def _see(
        self, image: UInt8[np.ndarray, "height width 3"], universal: np.ndarray | None
    ) -> "_Seen":
        """What the encoder sees of an image; a predicted universal map if none is given."""
        check_not_forked()
        image_size = input_sizes(self.config).get("encoder")
        saliency_input = self._saliency_input(image)
        if universal is None:
            universal = self._universal_of(saliency_input)
        return _Seen(
            None if image_size is None else resize_image(image, image_size),
            image.shape[1] / image.shape[0],
            resize_map(universal, map_size(self.config, "encoder")),
            saliency_input,
        )

    @in_32_bits
    def _embed_viewings(
        self,
        seen: Sequence["_Seen"],
        viewings: Sequence[tuple[np.ndarray, np.ndarray]],
        names: Sequence[str],
    ) -> Float[np.ndarray, "pair embedding"]:
        """Embeds pairs of an image and the fixations of one user on it.

        Args:
            seen: the image of each pair.
            viewings: positions, as fractions of the image, and durations of each pair.
            names: name of the gaze of each pair in an error.
        """
        num_pairs = len(viewings)
        longest = max(len(xy_frac) for xy_frac, _ in viewings)
        num_fixations = _FIXATIONS << (-(-longest // _FIXATIONS) - 1).bit_length()
        shape = (-(-num_pairs // _PAIRS) * _PAIRS, num_fixations)
        xy_frac = np.zeros((*shape, 2), np.float32)
        times_ms, mask = np.zeros(shape, np.float32), np.zeros(shape, bool)
        for row, (xy, duration_ms) in enumerate(viewings):
            used = slice(len(xy))
            xy_frac[row, used], times_ms[row, used], mask[row, used] = xy, duration_ms, True
        pixels, aspect_ratios, universals, saliency_inputs = zip(*seen, strict=True)
        batch = (
            None if pixels[0] is None else padded(np.stack(pixels), shape[0]),
            Scanpaths(*map(jnp.asarray, (xy_frac, times_ms, mask))),
            padded(np.array(aspect_ratios, np.float32), shape[0]),
            padded(np.stack(universals).astype(np.float32), shape[0]),
            padded(np.stack(saliency_inputs), shape[0]),
        )
        chunks = [
            self._embed_pairs(
                self._encoder_params,
                *jax.tree.map(lambda rows: rows[start : start + _PAIRS], batch),  # noqa: B023
            )
            for start in range(0, shape[0], _PAIRS)
        ]
        return finite_embeddings(np.concatenate(chunks)[:num_pairs], names)

    @in_32_bits
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
        check_not_forked()
        image = checked_image(image, "image")
        saliency_input = self._saliency_input(image)
        if universal is None:
            universal = self._universal_of(saliency_input)
        else:
            universal = checked_map(universal, "universal")
        if embedding is None:
            return finite_map(resize_map(universal, image.shape[:2]), None)
        saliency = self._predict_map(
            self._saliency_params,
            saliency_input,
            resize_map(universal, self.config.saliency.map_size),
            checked_embedding(embedding, self.embedding_size),
        )
        return finite_map(resize_map(np.asarray(saliency), image.shape[:2]), embedding)

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
