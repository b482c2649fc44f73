"""Arrays on several devices: replicated, sharded, mapped; and in 32 bits on all of them."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jaxtyping import Array

DEVICE_AXIS = "device"

_P = ParamSpec("_P")
_R = TypeVar("_R")


class _State:
    """State of this process, and of those that are forked from it."""

    process: int | None = None


def without_x64(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorates a program that computes in 32 bits, also where JAX_ENABLE_X64 is set.

    Networks are trained, stored and compared in 32 bits. The setting is that of the process for
    that time: the threads that make batches read it too.
    """

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        before = jax.config.values["jax_enable_x64"]
        jax.config.update("jax_enable_x64", False)
        try:
            with jax.enable_x64(False):
                return function(*args, **kwargs)
        finally:
            jax.config.update("jax_enable_x64", before)

    return wrapped


def in_32_bits(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorates a function that computes in 32 bits in the calling thread, and in no other one.

    Matrix products and convolutions have 32 bits too, unless the user has set
    `jax_default_matmul_precision`. By default, JAX rounds their factors on accelerators: on GPUs
    to 19 bits (TF32), which moves embeddings by up to 4e-4, on TPUs to 16.
    """

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        is_set = jax.config.values["jax_default_matmul_precision"] is not None
        precision = contextlib.nullcontext() if is_set else jax.default_matmul_precision("float32")
        with jax.enable_x64(False), precision:
            return function(*args, **kwargs)

    return wrapped


def check_not_forked() -> None:
    """Refuses the fork of a process in which JAX had started: JAX would wait for ever in it.

    Raises:
        ValueError: if this was called before in the process from which this one was forked.
    """
    first = _State.process = _State.process or os.getpid()
    if first != os.getpid():
        raise ValueError(
            f"process {os.getpid()} was forked from process {first}, in which JAX had started; "
            "start workers with multiprocessing.get_context('spawn'), or load the model only in "
            "the workers"
        )


def replicated(devices: Sequence[jax.Device]) -> jax.sharding.NamedSharding:
    """Sharding of an array that is whole on each device of this process; a step needs no copy."""
    mesh = jax.sharding.Mesh(np.array(own_devices(devices)), (DEVICE_AXIS,))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def own_devices(devices: Sequence[jax.Device]) -> list[jax.Device]:
    """Devices of this process; a pmapped step takes and returns arrays on these devices."""
    return [device for device in devices if is_local(device)]


def is_local(device: jax.Device) -> bool:
    """Whether a device belongs to this process."""
    return device.process_index == jax.process_index()


def my_share(rows: Array, device: Array, num_devices: int) -> Array:
    """Rows of the global batch for one device; the number of rows must be divisible."""
    size = rows.shape[0] // num_devices
    return jax.lax.dynamic_slice_in_dim(rows, device * size, size)


def map_rows(
    function: Callable[..., Any],
    constants: Any,
    rows: Sequence[Any],
    *,
    static: tuple[Any, ...] = (),
    devices: Sequence[jax.Device],
    batch_size: int,
) -> Iterator[Any]:
    """Applies a function to rows in batches spread over the devices of this process.

    It is compiled once for each `static`, devices and shapes, if it is the same function.

    Args:
        function: (*static, constants, *rows) -> arrays with one entry per row; rows are
            independent.
        constants: arguments of all batches, such as parameters and images.
        rows: arrays, or rows that are read on demand, of equal length.
        static: what the function is compiled for, such as a network; hashable.
        devices: the devices to use; devices of other processes are ignored.
        batch_size: rows in a batch; rounded up to a multiple of the devices. The last batch is
            padded with its last row, and the padding is removed from the result.

    Yields:
        The results of each batch, as NumPy arrays.
    """
    num_rows, devices = len(rows[0]), own_devices(devices)
    if num_rows == 0:
        return
    per_device = -(-min(batch_size, num_rows) // len(devices))
    size = per_device * len(devices)
    step = _on_devices(function, static, len(rows), tuple(devices))
    constants = jax.device_put(constants, replicated(devices))
    for start in range(0, num_rows, size):
        index = np.minimum(np.arange(start, start + size), num_rows - 1)
        taken = [row[index] for row in rows]
        batch = [one.reshape(len(devices), per_device, *one.shape[1:]) for one in taken]
        result = jax.device_get(step(constants, *batch))
        keep = min(size, num_rows - start)
        yield jax.tree.map(lambda value: value.reshape(size, *value.shape[2:])[:keep], result)  # noqa: B023


@functools.lru_cache(maxsize=64)
def _on_devices(
    function: Callable[..., Any],
    static: tuple[Any, ...],
    num_arrays: int,
    devices: tuple[jax.Device, ...],
) -> Callable[..., Any]:
    """A function of constants and arrays of rows, each of which is spread over the devices."""
    in_axes = (None, *[0] * num_arrays)
    return jax.pmap(functools.partial(function, *static), in_axes=in_axes, devices=list(devices))
