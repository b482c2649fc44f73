"""Stage `universal`: batch -> images -> predicted universal maps -> MSE."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from gazejax import losses
from gazejax.inference.networks import saliency_network
from gazejax.inference.universal import make_universal_predictor
from gazejax.inputs.maps import to_relative_density
from gazejax.inputs.sampling import sample_images
from gazejax.inputs.stage_arrays import StageArrays, center_prior
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
    config: ConfigDict,
    viewings: StageArrays,
    devices: list[jax.Device],
) -> Stage:
    """Builds stage `universal`."""
    options = config.universal
    images = np.asarray(viewings.images)
    targets = images[np.asarray(viewings.group.num_viewers)[images] > 0]
    check_even_shares("universal.num_images", options.num_images, devices)
    network = saliency_network(config, num_users=0)
    return Stage(
        name="universal",
        network=network,
        loss=_universal_loss(config, num_devices=len(devices)),
        constants=jax.device_put(
            (without_images(viewings), targets, center_prior(viewings)), replicated(devices)
        ),
        stream=make_stream(viewings, targets, functools.partial(sample_images, config)),
        optimizer=make_optimizer(
            num_steps=options.num_steps,
            **options.optimizer,
        ),
        num_steps=options.num_steps,
        examples_per_step=options.num_images,
        unit="maps",
    )


def _universal_loss(config: ConfigDict, *, num_devices: int) -> LossFunction:
    predict = make_universal_predictor(config)

    def loss(
        params: Any, constants: Any, batch: StreamedBatch | None, key: Array, device: Array
    ) -> tuple[Array, dict[str, Array]]:
        whole, targets, prior = constants
        if batch is None:
            drawn, _ = sample_images(config, targets, key)
        else:
            drawn = batch.drawn
        viewings, row_of = with_streamed_images(whole, batch)
        row = row_of(my_share(drawn, device, num_devices))
        target = to_relative_density(viewings.group.total[row])
        start = to_relative_density(jnp.broadcast_to(prior, target.shape))
        error = losses.mean_squared_error(
            prediction=to_relative_density(predict(params, viewings.pixels[row], prior)),
            target=target,
        )
        start_error = losses.mean_squared_error(prediction=start, target=target)
        return error.mean(), {"center_prior_loss": start_error.mean()}

    return loss
