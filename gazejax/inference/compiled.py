"""What a trained run is called with for single users: functions to compile, and their inputs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gazejax.inference.networks import Network
from gazejax.inputs.maps import MapSpec
from gazejax.inputs.pairs import make_pairs
from gazejax.models.scanpath_encoder import preference_vector
from gazejax.types import Scanpaths


def make_embed(network: Network, spec: MapSpec, *, has_preference: bool) -> Any:
    """Returns (params, images, scanpaths, aspect ratios, universal maps, features) -> embeddings.

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
        return network.embed(params, pairs)

    return embed


def make_predict(network: Network) -> Any:
    """Returns (params, input of the network, universal map, embedding) -> saliency map.

    Args:
        network: the saliency network.
    """

    def predict(
        params: Any, saliency_input: jax.Array, universal: jax.Array, embedding: jax.Array
    ) -> jax.Array:
        maps = network.apply(params)(
            saliency_input[None], jnp.asarray(universal)[None, None], embedding[None, None]
        )
        return maps[0, 0]

    return predict


def padded(rows: np.ndarray, length: int) -> np.ndarray:
    """Repeats the last row up to a length."""
    return np.concatenate([rows, np.repeat(rows[-1:], length - len(rows), axis=0)])
