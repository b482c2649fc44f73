"""Stage `encoder`: batch -> pairs -> embeddings -> triplet loss."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array
from ml_collections import ConfigDict

from gazejax import losses
from gazejax.config.derived import pairs_per_batch
from gazejax.inference.networks import Network, encoder_network
from gazejax.inputs import augmentation
from gazejax.inputs.augmentation import transform_pairs
from gazejax.inputs.pairs import encoder_inputs, gather_pairs
from gazejax.inputs.sampling import indices_of_pairs, make_sampling_pool, sample_encoder_batch
from gazejax.inputs.stage_arrays import StageArrays
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
from gazejax.types import longest_viewing


def make_encoder_stage(
    name: str, config: ConfigDict, viewings: StageArrays, devices: list[jax.Device]
) -> Stage:
    """Builds stage `encoder`, or its control `permuted_encoder`."""
    num_pairs = pairs_per_batch(config)
    check_even_shares("encoder.batch", num_pairs, devices)
    network = encoder_network(config, num_users=len(viewings.users))
    return Stage(
        name=name,
        network=network,
        loss=_encoder_loss(
            config,
            network,
            max_fixations=longest_viewing(viewings.gaze),
            num_devices=len(devices),
        ),
        constants=jax.device_put(without_images(viewings), replicated(devices)),
        stream=make_stream(
            viewings, make_sampling_pool(viewings), functools.partial(sample_encoder_batch, config)
        ),
        optimizer=make_optimizer(num_steps=config.encoder.num_steps, **config.encoder.optimizer),
        num_steps=config.encoder.num_steps,
        examples_per_step=num_pairs,
        unit="pairs",
    )


def _encoder_loss(
    config: ConfigDict, network: Network, *, max_fixations: int, num_devices: int
) -> LossFunction:
    sizes, terms = config.encoder.batch, config.encoder.loss
    num_users, num_virtual = sizes.num_users, sizes.virtual_users.number

    def loss(
        params: Any, constants: StageArrays, batch: StreamedBatch | None, key: Array, device: Array
    ) -> tuple[Array, dict[str, Array]]:
        if batch is None:
            drawn, _ = sample_encoder_batch(config, make_sampling_pool(constants), key)
        else:
            drawn = batch.drawn
        _, warp_key, mining_key = jax.random.split(key, 3)
        # Virtual users follow the real ones that they are made of.
        warps = jax.tree.map(
            lambda *parts: jnp.concatenate(parts),
            augmentation.identity_transforms(num_users),
            augmentation.sample_transforms(warp_key, **sizes.virtual_users),
        )
        # Every device draws the whole batch, embeds its share and mines triplets in the whole.
        share = functools.partial(my_share, device=device, num_devices=num_devices)
        viewings, row_of = with_streamed_images(constants, batch)
        user, image = indices_of_pairs(config, make_sampling_pool(constants), drawn)
        pairs = gather_pairs(
            config, "encoder", viewings, share(user), row_of(share(image)), max_fixations
        )
        if num_virtual:
            of_pair = functools.partial(jnp.repeat, repeats=sizes.images_per_user, axis=0)
            warp = jax.tree.map(lambda entries: share(of_pair(entries)), warps)
            pairs = transform_pairs(config, warp, pairs)
        model = network.apply(params)
        mine = model.encoder(*encoder_inputs(config, pairs))
        everyone = jax.lax.all_gather(mine, DEVICE_AXIS, tiled=True)
        embeddings = everyone.reshape(num_users + num_virtual, sizes.images_per_user, -1)
        sets = losses.mean_over_sets(embeddings, size=terms.pairs_per_mean)
        triplet, active = losses.mined_triplet_loss(
            losses.l2_normalize(sets) if terms.l2_normalize else sets,
            mining_key,
            margin=terms.margin,
            distance=terms.distance,
            mining=terms.mining,
        )
        prototype = losses.prototype_loss(
            losses.l2_normalize(embeddings) if terms.l2_normalize else embeddings,
            distance=terms.distance,
        )
        classification = optax.losses.softmax_cross_entropy_with_integer_labels(
            model.classifier(embeddings[:num_users]),
            jnp.broadcast_to(drawn.users[:, None], (num_users, sizes.images_per_user)),
        ).mean()
        total = (
            triplet
            + terms.classification_weight * classification
            + terms.prototype_weight * prototype
        )
        return total, {
            "triplet_loss": triplet,
            "active_share": active,
            "classification_loss": classification,
            "prototype_loss": prototype,
        }

    return loss
