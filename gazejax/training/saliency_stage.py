"""Stage `saliency`: batch -> embeddings and universal maps -> personal maps -> MSE."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from ml_collections import ConfigDict

from gazejax import losses
from gazejax.config.derived import has_memory
from gazejax.data.checks import target_images
from gazejax.inference.networks import Network, saliency_network
from gazejax.inputs import sampling
from gazejax.inputs.maps import to_relative_density
from gazejax.inputs.pairs import gather_pairs
from gazejax.inputs.sampling import make_sampling_pool, sample_saliency_batch
from gazejax.inputs.stage_arrays import StageArrays
from gazejax.inputs.streaming import (
    StreamedBatch,
    make_stream,
    with_streamed_images,
    without_images,
)
from gazejax.runtime.devices import my_share, replicated
from gazejax.training.devices import check_even_shares
from gazejax.training.optimizer import make_optimizer
from gazejax.training.stage import Stage, with_initial_values
from gazejax.training.step import LossFunction
from gazejax.types import AnyArray, longest_viewing


def make_saliency_stage(
    config: ConfigDict,
    viewings: StageArrays,
    embeddings: Float[np.ndarray, "user image embedding"],
    devices: list[jax.Device],
) -> Stage:
    """Builds stage `saliency` on the embeddings of a trained encoder."""
    sizes = config.saliency.batch
    targets = target_images(config, np.asarray(viewings.viewed))
    check_even_shares("saliency.batch", sizes.num_images, devices)
    network = saliency_network(config, num_users=len(viewings.users))
    start = _init_from_seen_users(embeddings, viewings.viewed, config.encoder.model.embedding_size)
    network = network._replace(init=with_initial_values(network.init, start))
    return Stage(
        name="saliency",
        network=network,
        loss=_saliency_loss(
            config,
            network,
            max_fixations=longest_viewing(viewings.gaze),
            num_devices=len(devices),
        ),
        constants=jax.device_put(
            (without_images(viewings), targets, embeddings), replicated(devices)
        ),
        stream=make_stream(
            viewings,
            (make_sampling_pool(viewings), targets),
            functools.partial(sample_saliency_batch, config),
        ),
        optimizer=make_optimizer(
            num_steps=config.saliency.num_steps,
            # What says who is who, or what is seen, has a meaning to keep.
            decay_of_part=dict.fromkeys(start, 0.0) | _memory_decay(config),
            **config.saliency.optimizer,
        ),
        num_steps=config.saliency.num_steps,
        examples_per_step=sizes.num_images * sizes.users_per_image,
        unit="maps",
    )


def _init_from_seen_users(
    embeddings: Float[np.ndarray, "user image embedding"],
    viewed: Bool[AnyArray, "user image"],
    num_learnt: int,
) -> dict[str, dict[str, Array]]:
    """Where the parts of the network start that say who is who among the seen users.

    `embedding_scale`: center and spread of them all; what is learnt and the taste have a spread
    each, so that entries of one kind keep their ratio. `known_people`: the learnt part of each.
    """
    viewings = np.asarray(viewed).sum(axis=1, keepdims=True)
    users = embeddings.sum(axis=1) / viewings
    center = users.mean(axis=0)
    scale = np.ones_like(center)
    for part in (slice(num_learnt), slice(num_learnt, None)):
        deviation = (users - center)[:, part]
        if deviation.size:
            scale[part] = 1 / max(float(np.sqrt((deviation**2).mean())), 1e-6)
    learnt = users[:, :num_learnt]
    variance = ((learnt - center[:num_learnt]) ** 2).sum(axis=1).mean()
    return {
        "embedding_scale": {"center": jnp.asarray(center), "scale": jnp.asarray(scale)},
        "known_people": {
            "centers": jnp.asarray(learnt),
            "variance": jnp.asarray(np.maximum(variance, 1e-12)),
        },
    }


def _saliency_loss(
    config: ConfigDict, network: Network, *, max_fixations: int, num_devices: int
) -> LossFunction:
    sizes = config.saliency.batch
    fewest, most = sizes.enrolment_images

    def loss(
        params: Any, constants: Any, batch: StreamedBatch | None, key: Array, device: Array
    ) -> tuple[Array, dict[str, Array]]:
        whole, targets, pair_embeddings = constants
        pool = make_sampling_pool(whole)
        if batch is None:
            drawn, _ = sample_saliency_batch(config, (pool, targets), key)
        else:
            drawn = batch.drawn
        _, enrolment_key = jax.random.split(key)
        is_target = jnp.arange(pool.viewed.shape[1]) == drawn.images[:, None, None]
        enrolled, weight = sampling.sample_enrolment(
            enrolment_key,
            pool.viewed[drawn.users] & ~is_target,
            min_images=fewest,
            max_images=most,
        )
        images, users, enrolled, weight = (
            my_share(rows, device, num_devices)
            for rows in (pool.images[drawn.images], drawn.users, enrolled, weight)
        )
        embedding = jnp.einsum("ipn,ipnd->ipd", weight, pair_embeddings[users[..., None], enrolled])
        viewings, row_of = with_streamed_images(whole, batch)
        row = row_of(images)
        pairs = gather_pairs(
            config,
            "saliency",
            viewings,
            pool.users[users.reshape(-1)],
            jnp.repeat(row, sizes.users_per_image),
            max_fixations,
        )
        shape = (*users.shape, *pairs.personal.shape[1:])
        inputs = (
            viewings.pixels[row],
            pairs.universal.reshape(shape),
            embedding,
        )
        terms = config.saliency.loss
        target = to_relative_density(pairs.personal).reshape(shape)

        def compare(prediction: Array) -> tuple[Array, dict[str, Array]]:
            scaled = to_relative_density(prediction)
            metrics = {
                "mse": losses.mean_squared_error(prediction=scaled, target=target),
                "cross_entropy": losses.cross_entropy(
                    prediction=prediction, target=pairs.personal.reshape(shape)
                ),
                "one_minus_cc": losses.one_minus_correlation(prediction=scaled, target=target),
            }
            metrics = jax.tree.map(jnp.mean, metrics)
            weights = (terms.mse_weight, terms.cross_entropy_weight, terms.correlation_weight)
            total = sum(
                weight * value for weight, value in zip(weights, metrics.values(), strict=True)
            )
            return jnp.asarray(total), metrics

        if has_memory(config):
            # All but the memory learns as if every user were unseen, the memory on top of it.
            others, _ = compare(network.apply(params)(*inputs, recognize=False))
            kept = jax.lax.stop_gradient(params) | {"memory": params["memory"]}
            total, metrics = compare(network.apply(kept)(*inputs))
            total += others
        else:
            total, metrics = compare(network.apply(params)(*inputs))
        universal_error = losses.mean_squared_error(
            prediction=to_relative_density(pairs.universal).reshape(shape), target=target
        )
        return total, metrics | {"universal_loss": universal_error.mean()}

    return loss


def _memory_decay(config: ConfigDict) -> dict[str, float]:
    return {"memory": config.saliency.model.memory.weight_decay} if has_memory(config) else {}
