"""Embeds and predicts for single users and images, outside of a data set, some at a time."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from gazejax._array_checks import finite_embeddings, finite_maps
from gazejax.data.reader import resize_map
from gazejax.inference.enlarging import enlarge_maps
from gazejax.inference.images import ReadImage
from gazejax.inference.networks import Network
from gazejax.inputs.maps import MapSpec
from gazejax.inputs.pairs import make_pairs
from gazejax.models.scanpath_encoder import preference_vector
from gazejax.runtime.devices import in_32_bits
from gazejax.types import Scanpaths

# So many pairs are embedded and maps predicted at a time, and fixations are padded to 128, 256 and
# so on: few shapes are ever compiled, and many users take no more memory than few.
_PAIRS = (8, 32)
_MAPS = (1, 8, 32)
FIXATIONS = 128


class Pair(NamedTuple):
    """What one user looked at in one image.

    Attributes:
        user: name of the user.
        name: name of the gaze in an error.
        image: what networks read of the image.
        xy_frac: positions as fractions of the image.
        duration_ms: milliseconds; zeros where they are not used.
    """

    user: str
    name: str
    image: ReadImage
    xy_frac: Float[np.ndarray, "fixation 2"]
    duration_ms: Float[np.ndarray, " fixation"]


@functools.cache
def make_embed(network: Network, spec: MapSpec, *, has_preference: bool) -> Any:
    """Returns (params, images, scanpaths, aspect ratios, universal maps, features) -> embeddings.

    The function is compiled. `params` are those of the encoder alone, without its classifier.

    Args:
        network: the encoder.
        spec: of the maps of the fixations.
        has_preference: whether the embedding ends in a preference vector.
    """

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
        return network.embed({"encoder": params}, pairs)

    return jax.jit(embed)


@functools.cache
def make_predict(network: Network) -> Any:
    """Returns (params, input of the network, universal map, embeddings) -> map of each embedding.

    The function is compiled.

    Args:
        network: the saliency network.
    """

    def predict(
        params: Any, saliency_input: jax.Array, universal: jax.Array, embeddings: jax.Array
    ) -> jax.Array:
        repeated = jnp.broadcast_to(universal, (1, len(embeddings), *universal.shape))
        return network.apply(params)(saliency_input[None], repeated, embeddings[None])[0]

    return jax.jit(predict)


def embed_pairs(
    embed: Callable[..., Any], params: Any, pairs: Iterable[Pair]
) -> dict[str, Float[np.ndarray, "pair embedding"]]:
    """Embeds pairs as they come, and returns those of each user.

    Args:
        embed: from `make_embed`.
        params: parameters of the encoder alone.
        pairs: what to embed.

    Raises:
        ValueError: if an embedding is not finite; the name of the gaze is in it.
    """
    found: dict[str, list[np.ndarray]] = {}
    waiting: list[Pair] = []

    def embed_waiting() -> None:
        embeddings = _embed_batch(embed, params, waiting)
        finite_embeddings(embeddings, [pair.name for pair in waiting])
        for pair, embedding in zip(waiting, embeddings, strict=True):
            found.setdefault(pair.user, []).append(embedding)
        waiting.clear()

    for pair in pairs:
        waiting.append(pair)
        if len(waiting) == _PAIRS[-1]:
            embed_waiting()
    if waiting:
        embed_waiting()
    return {user: np.stack(of_user) for user, of_user in found.items()}


@in_32_bits
def _embed_batch(
    embed: Callable[..., Any], params: Any, pairs: Sequence[Pair]
) -> Float[np.ndarray, "pair embedding"]:
    size = next(size for size in _PAIRS if size >= len(pairs))
    longest = max(len(pair.xy_frac) for pair in pairs)
    shape = (size, FIXATIONS << (-(-longest // FIXATIONS) - 1).bit_length())
    xy_frac = np.zeros((*shape, 2), np.float32)
    times_ms, mask = np.zeros(shape, np.float32), np.zeros(shape, bool)
    for row, pair in enumerate(pairs):
        used = slice(len(pair.xy_frac))
        xy_frac[row, used], times_ms[row, used] = pair.xy_frac, pair.duration_ms
        mask[row, used] = True
    images = [pair.image for pair in pairs]
    pixels = [image.pixels for image in images if image.pixels is not None]
    found = embed(
        params,
        _padded(np.stack(pixels), size) if pixels else None,
        Scanpaths(*map(jnp.asarray, (xy_frac, times_ms, mask))),
        _padded(np.array([image.aspect_ratio for image in images], np.float32), size),
        _padded(np.stack([image.encoder_universal for image in images]), size),
        _padded(np.stack([image.saliency_input for image in images]), size),
    )
    return np.asarray(found)[: len(pairs)]


@in_32_bits
def predict_maps(
    predict: Callable[..., Any],
    params: Any,
    image: ReadImage,
    embeddings: Float[np.ndarray, "user embedding"],
    universal: Float[np.ndarray, "_map_height _map_width"],
    *,
    map_size: tuple[int, int],
    size: tuple[int, int],
) -> Float[np.ndarray, "user height width"]:
    """Predicts the maps of users on an image, some users at a time.

    Args:
        predict: from `make_predict`.
        params: parameters of the saliency network.
        image: what networks read of the image.
        embeddings: of the users.
        universal: the universal map of the image, at any size.
        map_size: (height, width) of the network's maps.
        size: (height, width) of the result.

    Returns:
        Maps that sum to 1, float32.

    Raises:
        ValueError: if a map is not finite.
    """
    start = resize_map(universal, map_size)
    found = np.empty((len(embeddings), *size), np.float32)
    for first in range(0, len(embeddings), _MAPS[-1]):
        some = embeddings[first : first + _MAPS[-1]]
        num_rows = next(number for number in _MAPS if number >= len(some))
        maps = predict(params, image.saliency_input, start, _padded(some, num_rows))
        finite = finite_maps(np.asarray(maps)[: len(some)], some)
        enlarge_maps(finite, size, out=found[first : first + len(some)])
    return found


def _padded(rows: np.ndarray, length: int) -> np.ndarray:
    """Repeats the last row up to a length."""
    return np.concatenate([rows, np.repeat(rows[-1:], length - len(rows), axis=0)])
