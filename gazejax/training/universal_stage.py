"""Stage `universal`: batch -> images -> predicted universal maps -> MSE."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from gazejax import losses
from gazejax.config.derived import dataset_names
from gazejax.inference.networks import saliency_network
from gazejax.inference.universal import make_universal_predictor
from gazejax.inputs.maps import to_relative_density
from gazejax.inputs.sampling import sample_images
from gazejax.inputs.stage_arrays import StageInputs, center_prior, center_priors
from gazejax.inputs.streaming import (
    StreamedBatch,
    make_stream,
    with_streamed_images,
    without_images,
)
from gazejax.runtime.devices import my_share, replicated
from gazejax.training.devices import check_even_shares
from gazejax.training.optimizer import make_optimizer
from gazejax.training.stage import Stage
from gazejax.training.step import LossFunction


def make_universal_stage(
    config: ConfigDict, inputs: StageInputs, devices: list[jax.Device]
) -> Stage:
    """Builds stage `universal`.

    Args:
        config: the validated config.
        inputs: what stage `saliency` reads.
        devices: the devices that will train.
    """
    options, arrays = config.universal, inputs.arrays
    images = np.asarray(arrays.pool.images)
    targets = images[np.asarray(arrays.universal.num_viewers)[images] > 0]
    check_even_shares("universal.num_images", options.num_images, devices)
    num_datasets = len(dataset_names(config.data.name))
    prior = center_prior(arrays) if num_datasets == 1 else center_priors(arrays)[0]
    sample = functools.partial(sample_images, num_images=options.num_images)
    return Stage(
        name="universal",
        network=saliency_network(config, num_users=0, num_datasets=num_datasets),
        loss=_universal_loss(make_universal_predictor(config), sample, num_devices=len(devices)),
        constants=jax.device_put((without_images(arrays), targets, prior), replicated(devices)),
        stream=make_stream(arrays, targets, sample),
        optimizer=make_optimizer(num_steps=options.num_steps, **options.optimizer),
        num_steps=options.num_steps,
        examples_per_step=options.num_images,
        unit="maps",
    )


def _universal_loss(
    predict: Callable[..., Array], sample: Any, *, num_devices: int
) -> LossFunction:
    def loss(
        params: Any, constants: Any, batch: StreamedBatch | None, key: Array, device: Array
    ) -> tuple[Array, dict[str, Array]]:
        all_images, targets, prior = constants
        sampled = sample(targets, key)[0] if batch is None else batch.sampled
        arrays, row_of = with_streamed_images(all_images, batch)
        row = row_of(my_share(sampled, device, num_devices))
        dataset = None
        if arrays.dataset_of_image is not None:
            dataset = arrays.dataset_of_image[row]
            prior = prior[dataset]
        target = to_relative_density(arrays.universal.total[row])
        start = to_relative_density(jnp.broadcast_to(prior, target.shape))
        error = losses.mean_squared_error(
            prediction=to_relative_density(predict(params, arrays.images[row], prior, dataset)),
            target=target,
        )
        start_error = losses.mean_squared_error(prediction=start, target=target)
        return error.mean(), {"center_prior_loss": start_error.mean()}

    return loss
