"""Batches of images that do not fit a device."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from gazejax.inputs.sampling import batch_key, step_key
from gazejax.inputs.stage_arrays import IMAGES_PER_CHUNK, StageArrays
from gazejax.runtime.devices import is_local
from gazejax.types import AnyArray, LazyRows, gaze_on


class StreamedBatch(NamedTuple):
    """What a step is given on one device, where images are lazy rows.

    Attributes:
        sampled: the global batch, as the step would sample it itself.
        indices: data-set indices of the images in the device's share, ascending; the last one is
            repeated as padding.
        images: what the network sees of those images.
        total: sum of the seen users' maps of each.
    """

    sampled: Any
    indices: Int[AnyArray, " image"]
    images: Shaped[AnyArray, "image height width channel"]
    total: Float[AnyArray, "image map_height map_width"]


class BatchStream(NamedTuple):
    """How the host makes the batches of a stage whose images are lazy rows.

    Attributes:
        sample: (constants, key) -> what a step samples, and the data-set index of the image of each
            row of the global batch, in the order in which devices share the rows.
        constants: what `sample` reads, on the host.
        arrays: with the lazy rows.
    """

    sample: Callable[[Any, Array], tuple[Any, Array]]
    constants: Any
    arrays: StageArrays


def without_images(arrays: StageArrays) -> StageArrays:
    """What lies on a device for a whole training."""
    if not isinstance(arrays.images, LazyRows):
        return arrays
    universal: Any = arrays.universal
    return arrays._replace(images=None, universal=universal._replace(total=None))


def make_stream(
    arrays: StageArrays, constants: Any, sample: Callable[[Any, Array], tuple[Any, Array]]
) -> BatchStream | None:
    """How the host makes batches; None if all images lie on the devices."""
    if not isinstance(arrays.images, LazyRows):
        return None
    return BatchStream(jax.jit(sample), jax.device_put(constants, _host_device()), arrays)


def _host_device() -> jax.Device:
    return jax.local_devices(backend="cpu")[0]


def make_batch(
    stream: BatchStream, first_step: int, *, num_steps: int, seed: int, devices: list[jax.Device]
) -> StreamedBatch:
    """Makes what the steps of one dispatch are given; may be called from several threads.

    Args:
        stream: of the stage.
        first_step: the first of the steps.
        num_steps: how many there are.
        seed: of the training.
        devices: all that share a batch.

    Returns:
        Arrays with leading axes [local device, step], for the devices of this process alone.
    """
    with jax.default_device(_host_device()):
        key = batch_key(seed)
        samples = [
            jax.device_get(stream.sample(stream.constants, step_key(key, step)))
            for step in range(first_step, first_step + num_steps)
        ]
    needed = [
        [np.unique(share) for share in np.split(images, len(devices))] for _, images in samples
    ]
    # A power of two, or every number of different images would be compiled for.
    most = max(len(images) for of_step in needed for images in of_step)
    width = 1 << (most - 1).bit_length()
    mine = [number for number, device in enumerate(devices) if is_local(device)]
    indices = np.array(
        [[np.pad(of[n], (0, width - len(of[n])), mode="edge") for of in needed] for n in mine]
    )
    every, row = np.unique(indices, return_inverse=True)
    row = row.reshape(indices.shape)
    sampled = jax.tree.map(lambda *leaves: np.stack(leaves), *(sampled for sampled, _ in samples))
    arrays = stream.arrays
    return StreamedBatch(
        sampled=jax.tree.map(lambda leaf: np.broadcast_to(leaf, (len(mine), *leaf.shape)), sampled),
        indices=indices,
        images=arrays.images[every][row],
        total=arrays.universal.total[every][row],
    )


def prefetch(
    make: Callable[[int], Any], steps: range, *, num_threads: int, num_prefetched: int
) -> Iterator[Any]:
    """Makes the inputs of steps ahead of time, in threads, and yields them in order.

    Args:
        make: step -> inputs of the step; a pure function that several threads call at once.
        steps: the steps; a resumed training starts at the step where it stopped.
        num_threads: number of threads.
        num_prefetched: number of steps to make ahead.
    """
    import grain  # Imported here: most trainings need none, and its import takes .3 s.

    dataset = grain.MapDataset.range(steps.start, steps.stop, steps.step).map(make)
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=num_prefetched)
    return iter(dataset.to_iter_dataset(options))


def select_images(
    arrays: StageArrays,
    indices: Int[AnyArray, " image"],
    *,
    images: Shaped[AnyArray, "image height width channel"] | None,
    total: Float[AnyArray, "image map_height map_width"],
) -> StageArrays:
    """Arrays of a few images, for which 0, 1, ... stand there; the pool stays as it is.

    Args:
        arrays: of all images; their images and sums of maps are not read.
        indices: data-set indices.
        images: what the network sees of those images; None where it sees none.
        total: sum of the seen users' maps of each.
    """
    universal: Any = arrays.universal
    preference, joined, dataset = arrays.preference, arrays.joined, arrays.dataset_of_image
    return arrays._replace(
        images=images,
        gaze=gaze_on(arrays.gaze, indices),
        universal=universal._replace(
            total=total, num_viewers=jnp.asarray(universal.num_viewers)[indices]
        ),
        preference=preference and preference._replace(row=jnp.asarray(preference.row)[:, indices]),
        joined=joined and joined._replace(gaze=gaze_on(joined.gaze, indices)),
        dataset_of_image=None if dataset is None else jnp.asarray(dataset)[indices],
    )


def iterate_chunks(
    arrays: StageArrays, indices: Int[np.ndarray, " image"]
) -> Iterator[tuple[StageArrays, slice, Int[np.ndarray, " chunk"]]]:
    """Goes through images in chunks that a device can hold; in one chunk without lazy rows.

    Args:
        arrays: of all images.
        indices: data-set indices; where they are half of the images or fewer, the others, which
            each device would hold a copy of, are left out.

    Yields:
        Arrays with their images, which part of `indices` the chunk is, and the indices that stand
        for the chunk there.
    """
    if not isinstance(arrays.images, LazyRows):
        rows, total = indices, arrays.universal.total
        if 2 * len(indices) <= len(total):
            images = None if arrays.images is None else arrays.images[indices]
            arrays = select_images(arrays, indices, images=images, total=total[indices])
            rows = np.arange(len(indices))
        yield arrays, slice(0, len(indices)), rows
        return
    for start in range(0, len(indices), IMAGES_PER_CHUNK):
        chunk = indices[start : start + IMAGES_PER_CHUNK]
        # All chunks have one shape, or each would be compiled for.
        padded = np.resize(chunk, min(IMAGES_PER_CHUNK, len(indices)))
        selected = select_images(
            arrays, padded, images=arrays.images[padded], total=arrays.universal.total[padded]
        )
        yield selected, slice(start, start + len(chunk)), np.arange(len(chunk))


def with_streamed_images(
    arrays: StageArrays, batch: StreamedBatch | None
) -> tuple[StageArrays, Callable[[Array], Array]]:
    """Arrays with images, and data-set indices -> the indices that stand for them there."""
    if batch is None:
        return arrays, lambda image: image
    selected = select_images(arrays, batch.indices, images=batch.images, total=batch.total)
    return selected, lambda image: jnp.searchsorted(batch.indices, image)
