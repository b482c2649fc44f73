"""Universal maps that are predicted from the image."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped
from ml_collections import ConfigDict

from gazejax.config.derived import embedding_layout
from gazejax.inference.networks import saliency_network
from gazejax.inputs.stage_arrays import StageArrays, center_prior
from gazejax.inputs.streaming import iterate_chunks
from gazejax.runtime.devices import map_rows


def make_universal_predictor(config: ConfigDict) -> Callable[[Any, Array, Array], Array]:
    """How stage `universal` predicts: (params, images, center prior) -> universal maps.

    The saliency network is given an embedding of zeros, and the mean training map as the universal
    map.
    """
    network = saliency_network(config, num_users=0)
    embedding_size = sum(embedding_layout(config))

    def predict(
        params: Any,
        images: Shaped[Array, "image height width channel"],
        prior: Float[Array, "map_height map_width"],
    ) -> Float[Array, "image map_height map_width"]:
        zeros = jnp.zeros((len(images), 1, embedding_size))
        start = jnp.broadcast_to(prior, (len(images), 1, *prior.shape))
        return network.apply(params)(images, start, zeros)[:, 0]

    return predict


def predict_universal_maps(
    config: ConfigDict,
    params: Any,
    arrays: StageArrays,
    images: Int[np.ndarray, " image"],
    devices: list[jax.Device],
) -> Float[np.ndarray, "image map_height map_width"]:
    """Predicts universal maps of images.

    Args:
        config: the validated config.
        params: parameters of stage `universal`.
        arrays: what stage `universal` reads.
        images: data-set indices.
        devices: the devices to use.
    """
    predict, prior = make_universal_predictor(config), center_prior(arrays)

    def of_images(constants: Any, image: Array) -> Array:
        params, images, prior = constants
        return predict(params, images[image], prior)

    found: list[np.ndarray] = []
    for chunk, _, rows in iterate_chunks(arrays, images):
        found += map_rows(
            of_images,
            (params, chunk.images, prior),
            (rows,),
            devices=devices,
            batch_size=config.eval.batch_size,
        )
    return np.concatenate(found)
