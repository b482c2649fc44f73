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
    """What a step is given where images are stored, on one device.

    Attributes:
        drawn: the global batch, as the step would draw it itself.
        images: data-set indices of the images in the device's share, ascending; the last one is
            repeated as padding.
        pixels: of those images.
        total: sum of the seen users' maps of each.
    """

    drawn: Any
    images: Int[AnyArray, " image"]
    pixels: Shaped[AnyArray, "image height width channel"]
    total: Float[AnyArray, "image map_height map_width"]


class BatchStream(NamedTuple):
    """How the host makes the batches of a stage whose images are stored.

    Attributes:
        draw: (constants, key) -> what a step draws, and the data-set index of the image of each row
            of the global batch, in the order in which devices share the rows.
        constants: what that reads, on the host.
        viewings: with the stored images.
    """

    draw: Callable[[Any, Array], tuple[Any, Array]]
    constants: Any
    viewings: StageArrays


def without_images(viewings: StageArrays) -> StageArrays:
    """What lies on a device for a whole training."""
    if not isinstance(viewings.pixels, LazyRows):
        return viewings
    group: Any = viewings.group
    return viewings._replace(pixels=None, group=group._replace(total=None))


def make_stream(
    viewings: StageArrays, constants: Any, draw: Callable[[Any, Array], tuple[Any, Array]]
) -> BatchStream | None:
    """How the host makes batches; None if all images lie on the devices."""
    if not isinstance(viewings.pixels, LazyRows):
        return None
    return BatchStream(jax.jit(draw), jax.device_put(constants, _host_device()), viewings)


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
        draws = [
            jax.device_get(stream.draw(stream.constants, step_key(key, step)))
            for step in range(first_step, first_step + num_steps)
        ]
    needed = [[np.unique(share) for share in np.split(images, len(devices))] for _, images in draws]
    # A power of two, or every number of different images would be compiled for.
    most = max(len(images) for of_step in needed for images in of_step)
    width = 1 << (most - 1).bit_length()
    mine = [number for number, device in enumerate(devices) if is_local(device)]
    images = np.array(
        [[np.pad(of[n], (0, width - len(of[n])), mode="edge") for of in needed] for n in mine]
    )
    every, row = np.unique(images, return_inverse=True)
    row = row.reshape(images.shape)
    drawn = jax.tree.map(lambda *leaves: np.stack(leaves), *(drawn for drawn, _ in draws))
    viewings = stream.viewings
    return StreamedBatch(
        drawn=jax.tree.map(lambda leaf: np.broadcast_to(leaf, (len(mine), *leaf.shape)), drawn),
        images=images,
        pixels=viewings.pixels[every][row],
        total=viewings.group.total[every][row],
    )


def select_images(
    viewings: StageArrays,
    images: Int[AnyArray, " image"],
    *,
    pixels: Shaped[AnyArray, "image height width channel"],
    total: Float[AnyArray, "image map_height map_width"],
) -> StageArrays:
    """Viewings of a few images, for which 0, 1, ... stand there; the pool stays as it is.

    Args:
        viewings: of all images; their pixels and group maps are not read.
        images: data-set indices.
        pixels: of those images.
        total: sum of the seen users' maps of each.
    """
    group: Any = viewings.group
    group = group._replace(total=total, num_viewers=jnp.asarray(group.num_viewers)[images])
    taste = None if viewings.taste is None else jnp.asarray(viewings.taste)[:, images]
    return viewings._replace(
        pixels=pixels, gaze=gaze_on(viewings.gaze, images), group=group, taste=taste
    )


def iterate_chunks(
    viewings: StageArrays, images: Int[np.ndarray, " image"]
) -> Iterator[tuple[StageArrays, slice, Int[np.ndarray, " part"]]]:
    """Goes through images in parts that a device can hold; in one part if they are not stored.

    Args:
        viewings: of all images.
        images: data-set indices.

    Yields:
        Viewings with their images, which part of `images` that is, and the indices that stand for
        it there.
    """
    if not isinstance(viewings.pixels, LazyRows):
        yield viewings, slice(0, len(images)), images
        return
    for start in range(0, len(images), IMAGES_PER_CHUNK):
        part = images[start : start + IMAGES_PER_CHUNK]
        # All parts have one shape, or each would be compiled for.
        padded = np.resize(part, min(IMAGES_PER_CHUNK, len(images)))
        near = select_images(
            viewings, padded, pixels=viewings.pixels[padded], total=viewings.group.total[padded]
        )
        yield near, slice(start, start + len(part)), np.arange(len(part))


def with_streamed_images(
    viewings: StageArrays, batch: StreamedBatch | None
) -> tuple[StageArrays, Callable[[Array], Array]]:
    """Viewings with images, and data-set indices -> the indices that stand for them there."""
    if batch is None:
        return viewings, lambda image: image
    near = select_images(viewings, batch.images, pixels=batch.pixels, total=batch.total)
    return near, lambda image: jnp.searchsorted(batch.images, image)
