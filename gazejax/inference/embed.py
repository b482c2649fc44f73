"""Embeddings of viewings, and what one costs."""

import functools
import time
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Int

from gazejax.inference.networks import Network
from gazejax.inputs.maps import MapSpec
from gazejax.inputs.pairs import gather_pairs
from gazejax.inputs.stage_arrays import StageInputs
from gazejax.inputs.streaming import iterate_chunks
from gazejax.inputs.viewing_vectors import ViewingVectors, number_viewings
from gazejax.runtime.devices import map_rows

_NUM_MEASURED = 5


def embed_viewings(
    network: Network,
    params: Any,
    inputs: StageInputs,
    *,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
    embedding_size: int,
    devices: list[jax.Device],
    batch_size: int,
) -> ViewingVectors:
    """Embeds every viewing of the given users and images.

    Args:
        network: the encoder.
        params: its parameters.
        inputs: what stage 1 reads. A seen user is left out of the universal maps they are given.
        users: data-set indices, of seen or unseen users.
        images: data-set indices.
        embedding_size: entries of an embedding.
        devices: the devices to use.
        batch_size: viewings in a batch of all devices.
    """
    viewed = np.asarray(inputs.arrays.gaze.viewing_length)[np.ix_(users, images)] > 0
    place = number_viewings(viewed)
    vectors = np.empty((np.count_nonzero(viewed), embedding_size), np.float32)
    for chunk, part, rows in iterate_chunks(inputs.arrays, images):
        row, column = np.nonzero(viewed[:, part])
        batches = map_rows(
            _embed_rows,
            (params, chunk),
            (users[row], rows[column]),
            static=(network, inputs.spec),
            devices=devices,
            batch_size=batch_size,
        )
        done = 0
        for batch in batches:
            at = slice(done, done + len(batch))
            vectors[place[:, part][row[at], column[at]]] = batch
            done = at.stop
    return ViewingVectors(vectors, place)


def _embed_rows(
    network: Network, spec: MapSpec, constants: Any, user: Array, image: Array
) -> Array:
    params, arrays = constants
    return network.embed(params, gather_pairs(arrays, user, image, spec))


class EmbeddingCost(NamedTuple):
    """What one pair costs to embed in a batch, the rendering of its map included.

    Frozen features are not included: they belong to the image and are computed once for all users.

    Attributes:
        num_operations: floating-point operations, as XLA counts those it compiled.
        seconds: on one device; the median of a few batches.
    """

    num_operations: float
    seconds: float


def measure_embedding(
    network: Network, params: Any, inputs: StageInputs, *, batch_size: int
) -> EmbeddingCost:
    """Measures what the encoder costs, on a batch of viewings."""
    chunk, _, rows = next(iterate_chunks(inputs.arrays, np.asarray(inputs.arrays.pool.images)))
    row, column = np.nonzero(np.asarray(chunk.gaze.viewing_length)[:, rows] > 0)
    users, images = np.resize(row, batch_size), np.resize(rows[column], batch_size)
    constants = jax.device_put((params, chunk), jax.local_devices()[0])
    embed_rows = functools.partial(_embed_rows, network, inputs.spec)
    embed = jax.jit(embed_rows).lower(constants, users, images).compile()
    seconds = []
    for _ in range(_NUM_MEASURED):
        began = time.perf_counter()
        jax.block_until_ready(embed(constants, users, images))
        seconds.append(time.perf_counter() - began)
    counted = (embed.cost_analysis() or {}).get("flops", float("nan"))
    return EmbeddingCost(counted / batch_size, float(np.median(seconds)) / batch_size)
