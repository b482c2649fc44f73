"""Several processes that train one run together by `jax.distributed`, each on its own devices.

All do the same steps in the same order; process 0 alone writes and speaks. With one process, the
usual case, nothing here waits for anybody or changes a value.
"""

import contextlib
import faulthandler
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from gazejax.runtime import preemption

ALLOWED = "auto, off, or ADDRESS:PORT,PROCESSES,PROCESS, as 10.0.0.1:1234,2,0 in the first of two"

# A process that is silent for so long is lost, and the others end.
_HEARTBEAT_TIMEOUT_SECONDS = 30

# In which all must have come, and in which all must have gone.
_JOINING_TIMEOUT_SECONDS = 300

_LEAVING_TIMEOUT_SECONDS = 30


class _State:
    """Of this process, until it ends."""

    number = 0
    num_processes = 1


def initialize(asked: str | None) -> None:
    """Meets the other processes, if there are any; before JAX looks for its devices.

    Args:
        asked: `auto` leaves it to JAX to find the others by what started this process: Slurm, a TPU
            pod slice, Open MPI, Kubernetes; `off` is alone; `ADDRESS:PORT,PROCESSES,PROCESS` says
            where process 0 listens, how many there are and which one this is. None: `auto` where
            the environment says that there are several, else `off`.

    Raises:
        ValueError: if it is none of these, or JAX cannot find the others.
        ConnectionError: if they do not come in time.
    """
    address = re.fullmatch(r"([^,]+:\d+),(\d+),(\d+)", asked or "")
    if asked not in (None, "auto", "off") and not address:
        raise ValueError(f"--distributed is {asked!r}; allowed: {ALLOWED}")
    if asked == "off" or (asked is None and not _is_one_of_several(os.environ)):
        return
    # It would take SIGTERM away from `interruption`.
    jax.config.update("jax_enable_preemption_service", False)
    options: dict[str, Any] = {}
    if address:
        options["coordinator_address"] = address[1]
        options |= {"num_processes": int(address[2]), "process_id": int(address[3])}
        options["cluster_detection_method"] = "deactivate"
    print(
        f"waiting for the other processes of this run, {_JOINING_TIMEOUT_SECONDS} s at most "
        "(--distributed=off: there are none)",
        file=sys.stderr,
    )
    try:
        jax.distributed.initialize(
            **options,
            initialization_timeout=_JOINING_TIMEOUT_SECONDS,
            heartbeat_timeout_seconds=_HEARTBEAT_TIMEOUT_SECONDS,
            shutdown_timeout_seconds=_LEAVING_TIMEOUT_SECONDS,
        )
        _State.number, _State.num_processes = jax.process_index(), jax.process_count()
    except ValueError as error:
        raise ValueError(
            f"--distributed is {asked or 'auto'}: {_first_line(error)} Allowed: {ALLOWED}"
        ) from error
    except RuntimeError as error:
        raise ConnectionError(f"the other processes were not met: {_first_line(error)}") from error
    # A dump of all threads would bury the line by which JAX ends this process for a lost one.
    faulthandler.disable()
    log(
        f"{_State.num_processes} processes with {jax.device_count()} devices; if one is lost, the "
        f"others end within {_HEARTBEAT_TIMEOUT_SECONDS} s, and starting all of them again resumes"
    )


def _is_one_of_several(environment: Any) -> bool:
    """Whether what started this process says that it started others too.

    As JAX reads it, but that a single task of Slurm, or a single TPU host, has nobody to wait for.
    """
    if "JAX_COORDINATOR_ADDRESS" in environment:
        return True
    # Only a step that srun started has a list of nodes.
    if "SLURM_STEP_NODELIST" in environment:
        return int(environment.get("SLURM_NTASKS", 1)) > 1
    return "," in environment.get("TPU_WORKER_HOSTNAMES", "")


def is_distributed() -> bool:
    """Whether there are other processes in this run."""
    return _State.num_processes > 1


def is_main_process() -> bool:
    """Whether this process writes, speaks and evaluates for all; true if it is alone."""
    return _State.number == 0


def log(text: str) -> None:
    """Tells people something once, whatever the number of processes."""
    if is_main_process():
        print(text, file=sys.stderr)


@contextlib.contextmanager
def run_together() -> Iterator[None]:
    """What all processes do together, and end together; what comes after, each does alone.

    A signal to any of them is kept until all can stop at the same step: the step tells them.
    """
    if not is_distributed():
        yield
        return
    with preemption.defer_signals():
        try:
            yield
        except preemption.InterruptedRunError:  # It comes to all at the same place.
            jax.distributed.shutdown()
            raise
        jax.distributed.shutdown()
    if preemption.stop_requested():
        raise preemption.InterruptedRunError("the training is finished and saved")


@contextlib.contextmanager
def report_lost_process() -> Iterator[None]:
    """Says in one line that another process ended, where JAX fails for it."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not jax.distributed.is_initialized():
            raise
        raise ConnectionError(
            f"process {_State.number} of {_State.num_processes} cannot go on, most likely because "
            f"another one has ended ({_first_line(error)}); start all of them again to resume"
        ) from error


def is_connected() -> bool:
    """Whether others count on this process: an orderly end would wait for them."""
    return jax.distributed.is_initialized()


def warm_up_collectives() -> None:
    """Lets all devices meet once, before each process compiles its step in its own time.

    Gloo, by which CPUs exchange, wants all to come within 30 s the first time.
    """
    if not is_distributed():
        return
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("device",))
    one_each = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("device"))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    numbers = jax.make_array_from_process_local_data(
        one_each, np.ones(jax.local_device_count(), np.int32), (jax.device_count(),)
    )
    jax.block_until_ready(jax.jit(jnp.sum, out_shardings=everywhere)(numbers))


def any_process(mine: bool) -> bool:
    """Whether any process says yes; waits until all have said something."""
    if not is_distributed():
        return mine
    return bool(np.any(multihost_utils.process_allgather(np.array(mine))))


def barrier(place: str) -> None:
    """Waits until all processes have come to a place of the program."""
    if is_distributed():
        multihost_utils.sync_global_devices(place)


def check_same(name: str, value: int) -> None:
    """Refuses to go on if processes have different values of what is one thing; waits for all.

    Args:
        name: what it is, and what may have gone wrong.
        value: from 0 to 2^32 - 1.

    Raises:
        ValueError: with the values of all, in all of them.
    """
    if not is_distributed():
        return
    values = multihost_utils.process_allgather(np.uint32(value)).tolist()
    if len(set(values)) > 1:
        raise ValueError(f"the processes differ in {name}: {values}; allowed: one value")


def broadcast_from_main(tree: Any) -> Any:
    """The arrays of process 0: different machines may round differently, and would drift apart."""
    return multihost_utils.broadcast_one_to_all(tree) if is_distributed() else tree


def to_global(tree: Any) -> Any:
    """The same arrays, equal in all processes, as ones that lie on the devices of all of them.

    What `pmap` returns lies on one's own devices, and Orbax refuses to save that.
    """
    if not is_distributed():
        return tree
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("device",))
    return multihost_utils.host_local_array_to_global_array(
        tree, mesh, jax.sharding.PartitionSpec()
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
