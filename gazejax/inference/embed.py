"""Embeddings of viewings, and what one costs."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int
from ml_collections import ConfigDict

from gazejax.config.derived import user_embedding_size
from gazejax.inference.networks import encoder_network
from gazejax.inputs.pairs import encoder_inputs, gather_pairs
from gazejax.inputs.stage_arrays import StageArrays
from gazejax.inputs.streaming import iterate_chunks
from gazejax.runtime.devices import map_rows
from gazejax.types import longest_viewing

_NUM_MEASURED = 5


def embed_viewings(
    config: ConfigDict,
    encoder_params: Any,
    viewings: StageArrays,
    *,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
    devices: list[jax.Device],
) -> Float[np.ndarray, "user image embedding"]:
    """Embeds every viewing of the given users and images; zero where a user did not see an image.

    Args:
        config: the validated config.
        encoder_params: parameters of stage 1.
        viewings: what stage 1 reads. Its group maps are those of the seen users; a seen user is
            left out of their own.
        users: data-set indices, of seen or unseen users.
        images: data-set indices.
        devices: the devices to use.
    """
    embed = _make_embed(config, viewings)
    embeddings = np.zeros((len(users), len(images), user_embedding_size(config)), np.float32)
    for near, part, rows in iterate_chunks(viewings, images):
        row, column = np.nonzero(np.asarray(near.gaze.viewing_length)[np.ix_(users, rows)] > 0)
        batches = map_rows(
            embed,
            (encoder_params, near),
            (users[row], rows[column]),
            devices=devices,
            batch_size=config.eval.batch_size,
        )
        done = 0
        for batch in batches:
            at = slice(done, done + len(batch))
            embeddings[:, part][row[at], column[at]] = batch
            done = at.stop
    return embeddings


def _make_embed(config: ConfigDict, viewings: StageArrays) -> Callable[[Any, Array, Array], Array]:
    network = encoder_network(config, num_users=len(viewings.users))
    max_fixations = longest_viewing(viewings.gaze)

    def embed(constants: Any, user: Array, image: Array) -> Array:
        params, viewings = constants
        pairs = gather_pairs(config, "encoder", viewings, user, image, max_fixations)
        inputs = encoder_inputs(config, pairs)
        return network.apply(params).encoder(*inputs)

    return embed


class EmbeddingCost(NamedTuple):
    """What one pair costs to embed in a batch, the rendering of its map included.

    Frozen features are not: they are the picture's, and computed once for all people.

    Attributes:
        num_operations: floating-point operations, as XLA counts those it compiled.
        seconds: on one device; the median of a few batches.
    """

    num_operations: float
    seconds: float


def measure_embedding(
    config: ConfigDict, encoder_params: Any, viewings: StageArrays
) -> EmbeddingCost:
    """Measures what the encoder costs, on a batch of viewings."""
    size = config.eval.batch_size
    near, _, rows = next(iterate_chunks(viewings, np.asarray(viewings.images)))
    row, column = np.nonzero(np.asarray(near.gaze.viewing_length)[:, rows] > 0)
    users, images = np.resize(row, size), np.resize(rows[column], size)
    constants = jax.device_put((encoder_params, near), jax.local_devices()[0])
    embed = jax.jit(_make_embed(config, viewings)).lower(constants, users, images).compile()
    seconds = []
    for _ in range(_NUM_MEASURED):
        began = time.perf_counter()
        jax.block_until_ready(embed(constants, users, images))
        seconds.append(time.perf_counter() - began)
    counted = (embed.cost_analysis() or {}).get("flops", float("nan"))
    return EmbeddingCost(counted / size, float(np.median(seconds)) / size)
