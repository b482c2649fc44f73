"""Stage `encoder`: batch -> pairs -> embeddings -> triplet, classification and prototype loss."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array
from ml_collections import ConfigDict

from gazejax import losses
from gazejax.inference.networks import Network, encoder_network
from gazejax.inputs.augmentation import (
    GazeTransform,
    identity_transforms,
    sample_transforms,
    then,
    transform_pairs,
    without_durations,
)
from gazejax.inputs.maps import MapSpec
from gazejax.inputs.pairs import gather_pairs
from gazejax.inputs.sampling import EncoderBatchSizes, indices_of_pairs, sample_encoder_batch
from gazejax.inputs.stage_arrays import StageArrays, StageInputs
from gazejax.inputs.streaming import (
    StreamedBatch,
    make_stream,
    with_streamed_images,
    without_images,
)
from gazejax.runtime.devices import DEVICE_AXIS, my_share, replicated
from gazejax.training.devices import check_even_shares
from gazejax.training.optimizer import make_optimizer
from gazejax.training.stage import Stage
from gazejax.training.step import LossFunction


def make_encoder_stage(
    name: str, config: ConfigDict, inputs: StageInputs, devices: list[jax.Device]
) -> Stage:
    """Builds stage `encoder`, or its control `permuted_encoder` from inputs with permuted labels.

    Args:
        name: of the stage.
        config: the validated config.
        inputs: what the stage reads.
        devices: the devices that will train.
    """
    batch, num_steps = config.encoder.batch, config.encoder.num_steps
    sizes = EncoderBatchSizes(
        num_users=batch.num_users,
        num_virtual=batch.virtual_users.number,
        images_per_user=batch.images_per_user,
        pairs_per_set=config.encoder.loss.pairs_per_mean,
        same_images=batch.same_images,
        one_dataset=batch.users_of == "one_dataset",
    )
    check_even_shares("encoder.batch", sizes.num_pairs, devices)
    arrays = inputs.arrays
    network = encoder_network(config, num_users=len(arrays.pool.users))
    return Stage(
        name=name,
        network=network,
        loss=_encoder_loss(
            network,
            inputs.spec,
            sizes,
            {**batch.virtual_users},
            {**batch.virtual_sessions},
            num_devices=len(devices),
            **config.encoder.loss,
        ),
        constants=jax.device_put(without_images(arrays), replicated(devices)),
        stream=make_stream(
            arrays, arrays.pool, functools.partial(sample_encoder_batch, sizes=sizes)
        ),
        optimizer=make_optimizer(num_steps=num_steps, **config.encoder.optimizer),
        num_steps=num_steps,
        examples_per_step=sizes.num_pairs,
        unit="pairs",
    )


def _encoder_loss(
    network: Network,
    spec: MapSpec,
    sizes: EncoderBatchSizes,
    virtual_users: Mapping[str, Any],
    virtual_sessions: Mapping[str, float],
    *,
    num_devices: int,
    margin: float,
    distance: str,
    l2_normalize: bool,
    mining: str,
    pairs_per_mean: int,
    classification_weight: float,
    prototype_weight: float,
) -> LossFunction:
    prepare = network.prepare
    if prepare is None:
        raise TypeError("network is no encoder")
    has_sessions = any(virtual_sessions.values())
    spreads = {**virtual_sessions}
    share_with_durations = 1 - spreads.pop("without_durations")

    def loss(
        params: Any, constants: StageArrays, batch: StreamedBatch | None, key: Array, device: Array
    ) -> tuple[Array, dict[str, Array]]:
        pool = constants.pool
        if batch is None:
            sampled, _ = sample_encoder_batch(pool, key, sizes=sizes)
        else:
            sampled = batch.sampled
        _, transform_key, mining_key = jax.random.split(key, 3)
        # Virtual users follow the real ones that they are made of.
        transforms = jax.tree.map(
            lambda *parts: jnp.concatenate(parts),
            identity_transforms(sizes.num_users),
            sample_transforms(transform_key, **virtual_users),
        )
        # Every device samples the whole batch, embeds its share and mines triplets in the whole.
        share = functools.partial(my_share, device=device, num_devices=num_devices)
        arrays, row_of = with_streamed_images(constants, batch)
        user, image = indices_of_pairs(pool, sampled, sizes)
        pairs = gather_pairs(arrays, share(user), row_of(share(image)), spec)
        if sizes.num_virtual or has_sessions:
            transforms = _repeat(transforms, sizes.images_per_user)
            if has_sessions:
                num_sessions = sizes.num_pairs // pairs_per_mean
                sessions = sample_transforms(
                    jax.random.fold_in(transform_key, 1),
                    number=num_sessions,
                    mirror=False,
                    **spreads,
                )
                if share_with_durations < 1:
                    is_known = jax.random.bernoulli(
                        jax.random.fold_in(transform_key, 2), share_with_durations, (num_sessions,)
                    )
                    sessions = without_durations(sessions, is_known)
                transforms = then(transforms, _repeat(sessions, pairs_per_mean))
            pairs = transform_pairs(jax.tree.map(share, transforms), pairs, spec)
        model = network.apply(params)
        mine = model.encoder(*prepare(pairs))
        every = jax.lax.all_gather(mine, DEVICE_AXIS, tiled=True)
        embeddings = every.reshape(sizes.num_users + sizes.num_virtual, sizes.images_per_user, -1)
        means = losses.mean_over_sets(embeddings, size=pairs_per_mean)
        triplet, active = losses.mined_triplet_loss(
            losses.l2_normalize(means) if l2_normalize else means,
            mining_key,
            margin=margin,
            distance=distance,
            mining=mining,
        )
        prototype = losses.prototype_loss(
            losses.l2_normalize(embeddings) if l2_normalize else embeddings, distance=distance
        )
        classification = optax.losses.softmax_cross_entropy_with_integer_labels(
            model.classifier(embeddings[: sizes.num_users]),
            jnp.broadcast_to(sampled.users[:, None], (sizes.num_users, sizes.images_per_user)),
        ).mean()
        total = triplet + classification_weight * classification + prototype_weight * prototype
        return total, {
            "triplet_loss": triplet,
            "active_share": active,
            "classification_loss": classification,
            "prototype_loss": prototype,
        }

    return loss


def _repeat(transforms: GazeTransform, times: int) -> GazeTransform:
    """One entry for each pair in place of one for each user or session."""
    return jax.tree.map(lambda entries: jnp.repeat(entries, times, axis=0), transforms)
