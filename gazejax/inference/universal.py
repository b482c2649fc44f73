"""Universal maps that are predicted from the image."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped
from ml_collections import ConfigDict

from gazejax.config.derived import embedding_layout
from gazejax.inference.networks import OF_DATASET, Network, saliency_network, without_datasets
from gazejax.inputs.maps import to_relative_density
from gazejax.inputs.stage_arrays import StageArrays, center_prior, center_priors
from gazejax.inputs.streaming import iterate_chunks
from gazejax.runtime.devices import map_rows


def make_universal_predictor(config: ConfigDict) -> Callable[..., Array]:
    """How stage `universal` predicts: (params, images, center prior, data set) -> universal maps.

    The saliency network is given an embedding of zeros, and the mean training map as the universal
    map. A run on several data sets has two parameters for each, zero at first. `log_gain` sharpens
    or spreads its maps, and `center_weight` moves them toward its center prior or away from it. An
    image of none of the data sets has the mean of their parameters, and of their center priors.
    """
    return _predictor(saliency_network(config, num_users=0), sum(embedding_layout(config)))


@functools.cache
def _predictor(network: Network, embedding_size: int) -> Callable[..., Array]:
    def predict(
        params: Any,
        images: Shaped[Array, "image height width channel"],
        prior: Float[Array, "*image map_height map_width"],
        dataset: Int[Array, " image"] | None = None,
    ) -> Float[Array, "image map_height map_width"]:
        zeros = jnp.zeros((len(images), 1, embedding_size))
        start = jnp.broadcast_to(
            prior if prior.ndim == 2 else prior[:, None], (len(images), 1, *prior.shape[-2:])
        )
        maps = network.apply(without_datasets(params))(images, start, zeros)[:, 0]
        if OF_DATASET not in params:
            return maps
        own = {
            name: values.mean() if dataset is None else values[dataset]
            for name, values in params[OF_DATASET].items()
        }
        return _adapt(maps, start[:, 0], **own)

    return predict


def _adapt(
    maps: Float[Array, "image map_height map_width"],
    prior: Float[Array, "image map_height map_width"],
    *,
    log_gain: Float[Array, "*image"],
    center_weight: Float[Array, "*image"],
) -> Float[Array, "image map_height map_width"]:
    """Maps to a power, times the center prior to another; as they are where both are zero.

    Source: ours.
    """
    gain, weight = (value.reshape(-1, 1, 1) for value in (jnp.exp(log_gain), center_weight))
    # The floors keep logarithms finite; that of the prior is a hundredth of the uniform density.
    logits = gain * jnp.log(to_relative_density(maps) + 1e-6)
    logits += weight * jnp.log(to_relative_density(prior) + 0.01)
    return jax.nn.softmax(logits, axis=(-2, -1))


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
    dataset = arrays.dataset_of_image
    priors, prior_of_image = center_priors(arrays)
    found: list[np.ndarray] = []
    for chunk, part, rows in iterate_chunks(arrays, images):
        of_rows = [rows]
        if dataset is not None:
            of_rows += [np.asarray(dataset)[images[part]], prior_of_image[images[part]]]
        found += map_rows(
            _predict_rows,
            (params, chunk.images, prior if dataset is None else priors),
            of_rows,
            static=(predict,),
            devices=devices,
            batch_size=config.eval.batch_size,
        )
    return np.concatenate(found)


def _predict_rows(
    predict: Callable[..., Array], constants: Any, image: Array, *of_dataset: Array
) -> Array:
    params, images, prior = constants
    if not of_dataset:
        return predict(params, images[image], prior)
    dataset, number = of_dataset
    return predict(params, images[image], prior[number], dataset)
