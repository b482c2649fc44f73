"""Predicted universal maps, and those that networks are given."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped
from ml_collections import ConfigDict

from gazejax.config.derived import user_embedding_size
from gazejax.inference.networks import saliency_network
from gazejax.inputs.stage_arrays import StageArrays, center_prior
from gazejax.inputs.streaming import iterate_chunks
from gazejax.runtime.devices import map_rows


def make_universal_predictor(config: ConfigDict) -> Callable[[Any, Array, Array], Array]:
    """How stage `universal` predicts: (params, images, center prior) -> universal maps.

    The saliency network with nobody's embedding, on the mean training map in place of a universal.
    """
    network = saliency_network(config, num_users=0)

    def predict(
        params: Any,
        pixels: Shaped[Array, "image height width channel"],
        prior: Float[Array, "map_height map_width"],
    ) -> Float[Array, "image map_height map_width"]:
        nobody = jnp.zeros((len(pixels), 1, user_embedding_size(config)))
        start = jnp.broadcast_to(prior, (len(pixels), 1, *prior.shape))
        return network.apply(params)(pixels, start, nobody)[:, 0]

    return predict


def replacement_universal_maps(
    config: ConfigDict,
    viewings: StageArrays,
    universal_params: Any,
    devices: list[jax.Device],
) -> Float[np.ndarray, "all_images map_height map_width"] | None:
    """The universal maps that networks are told in place of the group's; None: those are.

    Args:
        config: the validated config.
        viewings: of stage `saliency`, with the group's maps.
        universal_params: parameters of stage `universal`; read if its predictions are told.
        devices: the devices to use.
    """
    every_image = np.arange(viewings.gaze.viewing_length.shape[1])
    match config.data.universal_map:
        case "seen_users":
            return None
        case "center_prior":
            prior = center_prior(viewings)
            return np.broadcast_to(prior, (len(every_image), *prior.shape))
        case "predicted":
            return predict_universal_maps(config, universal_params, viewings, every_image, devices)
        case other:
            raise ValueError(f"data.universal_map is {other!r}; see gazejax.config.schema")


def predict_universal_maps(
    config: ConfigDict,
    params: Any,
    viewings: StageArrays,
    images: Int[np.ndarray, " image"],
    devices: list[jax.Device],
) -> Float[np.ndarray, "image map_height map_width"]:
    """The predicted universal maps of some images, by the parameters of stage `universal`."""
    predict, prior = make_universal_predictor(config), center_prior(viewings)

    def of_images(constants: Any, image: Array) -> Array:
        params, pixels, prior = constants
        return predict(params, pixels[image], prior)

    found: list[np.ndarray] = []
    for near, _, rows in iterate_chunks(viewings, images):
        found += map_rows(
            of_images,
            (params, near.pixels, prior),
            (rows,),
            devices=devices,
            batch_size=config.eval.batch_size,
        )
    return np.concatenate(found)
