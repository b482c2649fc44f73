"""Stage `saliency`: batch -> embeddings, universal maps -> personal maps -> MSE and more."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from gazejax import losses
from gazejax.config.derived import EmbeddingLayout, embedding_layout
from gazejax.data.checks import target_images
from gazejax.inference.networks import Network, saliency_network
from gazejax.inputs.maps import MapSpec, to_relative_density
from gazejax.inputs.pairs import gather_pairs
from gazejax.inputs.sampling import sample_enrolment, sample_saliency_batch
from gazejax.inputs.stage_arrays import StageInputs
from gazejax.inputs.streaming import (
    StreamedBatch,
    make_stream,
    with_streamed_images,
    without_images,
)
from gazejax.inputs.viewing_vectors import ViewingVectors, look_up
from gazejax.runtime.devices import my_share, replicated
from gazejax.training.devices import check_even_shares
from gazejax.training.optimizer import make_optimizer
from gazejax.training.stage import Stage, with_initial_values
from gazejax.training.step import LossFunction


def make_saliency_stage(
    config: ConfigDict,
    inputs: StageInputs,
    embeddings: ViewingVectors,
    devices: list[jax.Device],
) -> Stage:
    """Builds stage `saliency` on the embeddings of a trained encoder.

    Args:
        config: the validated config.
        inputs: what the stage reads.
        embeddings: of each viewing of a user and an image of the pool.
        devices: the devices that will train.
    """
    sizes, num_steps, model = (
        config.saliency.batch,
        config.saliency.num_steps,
        config.saliency.model,
    )
    pool = inputs.arrays.pool
    targets = target_images(np.asarray(pool.viewed), sizes.users_per_image)
    check_even_shares("saliency.batch", sizes.num_images, devices)
    network = saliency_network(config, num_users=len(pool.users))
    start = _init_from_seen_users(embeddings, embedding_layout(config))
    network = replace(network, init=with_initial_values(network.init, start))
    has_memory = model.architecture == "readout" and model.memory.kind != "none"
    # No weight decay: these parts hold statistics of the seen users.
    decay_of_part = dict.fromkeys(start, 0.0)
    if has_memory:
        decay_of_part["memory"] = model.memory.weight_decay
    sample = functools.partial(
        sample_saliency_batch,
        num_images=sizes.num_images,
        users_per_image=sizes.users_per_image,
    )
    return Stage(
        name="saliency",
        network=network,
        loss=_saliency_loss(
            network,
            inputs.spec,
            sample,
            sizes.enrolment_images,
            {**config.saliency.loss},
            has_memory=has_memory,
            num_devices=len(devices),
        ),
        constants=jax.device_put(
            (without_images(inputs.arrays), targets, embeddings), replicated(devices)
        ),
        stream=make_stream(inputs.arrays, (pool, targets), sample),
        optimizer=make_optimizer(
            num_steps=num_steps, decay_of_part=decay_of_part, **config.saliency.optimizer
        ),
        num_steps=num_steps,
        examples_per_step=sizes.num_images * sizes.users_per_image,
        unit="maps",
    )


def _init_from_seen_users(
    embeddings: ViewingVectors,
    layout: EmbeddingLayout,
) -> dict[str, dict[str, Array]]:
    """Initial values of the parts of the network that describe the seen users.

    `embedding_scale`: center and spread of all embeddings; learnt part and preference vector have
    a spread each, so that entries of one part keep their ratio. `recognizer`: the learnt part of
    each user.
    """
    users = np.stack([embeddings.vectors[row[row >= 0]].mean(axis=0) for row in embeddings.row])
    center = users.mean(axis=0)
    scale = np.ones_like(center)
    for part in (slice(layout.learnt), slice(layout.learnt, None)):
        deviation = (users - center)[:, part]
        if deviation.size:
            scale[part] = 1 / max(float(np.sqrt((deviation**2).mean())), 1e-6)
    learnt = users[:, : layout.learnt]
    variance = ((learnt - center[: layout.learnt]) ** 2).sum(axis=1).mean()
    return {
        "embedding_scale": {"center": jnp.asarray(center), "scale": jnp.asarray(scale)},
        "recognizer": {
            "centers": jnp.asarray(learnt),
            "variance": jnp.asarray(np.maximum(variance, 1e-12)),
        },
    }


def _saliency_loss(
    network: Network,
    spec: MapSpec,
    sample: Any,
    enrolment_images: tuple[int, int],
    weights: Mapping[str, float],
    *,
    has_memory: bool,
    num_devices: int,
) -> LossFunction:
    min_images, max_images = enrolment_images
    weight_of_term = {
        "mse": weights["mse_weight"],
        "cross_entropy": weights["cross_entropy_weight"],
        "one_minus_cc": weights["correlation_weight"],
    }

    def loss(
        params: Any, constants: Any, batch: StreamedBatch | None, key: Array, device: Array
    ) -> tuple[Array, dict[str, Array]]:
        all_images, targets, pair_embeddings = constants
        pool = all_images.pool
        sampled = sample((pool, targets), key)[0] if batch is None else batch.sampled
        _, enrolment_key = jax.random.split(key)
        is_target = jnp.arange(pool.viewed.shape[1]) == sampled.images[:, None, None]
        enrolled, weight = sample_enrolment(
            enrolment_key,
            pool.viewed[sampled.users] & ~is_target,
            min_images=min_images,
            max_images=max_images,
        )
        images, users, enrolled, weight = (
            my_share(rows, device, num_devices)
            for rows in (pool.images[sampled.images], sampled.users, enrolled, weight)
        )
        viewings = jnp.broadcast_arrays(users[..., None], enrolled)
        embedding = jnp.einsum("ipn,ipnd->ipd", weight, look_up(pair_embeddings, *viewings))
        arrays, row_of = with_streamed_images(all_images, batch)
        row = row_of(images)
        pairs = gather_pairs(
            arrays, pool.users[users.reshape(-1)], jnp.repeat(row, users.shape[1]), spec
        )
        shape = (*users.shape, *pairs.personal.shape[1:])
        inputs = (arrays.images[row], pairs.universal.reshape(shape), embedding)
        target = to_relative_density(pairs.personal).reshape(shape)

        def compare(prediction: Array) -> tuple[Array, dict[str, Array]]:
            scaled = to_relative_density(prediction)
            terms = {
                "mse": losses.mean_squared_error(prediction=scaled, target=target),
                "cross_entropy": losses.cross_entropy(
                    prediction=prediction, target=pairs.personal.reshape(shape)
                ),
                "one_minus_cc": losses.one_minus_correlation(prediction=scaled, target=target),
            }
            terms = {name: value.mean() for name, value in terms.items()}
            total = sum(weight_of_term[name] * value for name, value in terms.items())
            return jnp.asarray(total), terms

        if has_memory:
            # All but the memory learns as if every user were unseen, the memory on top of it.
            others, _ = compare(network.apply(params)(*inputs, recognize=False))
            kept = jax.lax.stop_gradient(params) | {"memory": params["memory"]}
            total, terms = compare(network.apply(kept)(*inputs))
            total += others
        else:
            total, terms = compare(network.apply(params)(*inputs))
        universal_error = losses.mean_squared_error(
            prediction=to_relative_density(pairs.universal).reshape(shape), target=target
        )
        return total, terms | {"universal_loss": universal_error.mean()}

    return loss
