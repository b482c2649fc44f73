"""Distributed training: several processes train one run with `jax.distributed`.

Each process uses its own devices. All processes do the same steps in the same order. Process 0, the
main process, writes files and messages. With one process, no function here waits or changes a
value.
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

# A process without a heartbeat for this time is lost, and the other processes end.
_HEARTBEAT_TIMEOUT_SECONDS = 30

# Time limits for the connection of all processes, and for their disconnection.
_JOINING_TIMEOUT_SECONDS = 300

_LEAVING_TIMEOUT_SECONDS = 30


class _State:
    """State of this process."""

    number = 0
    num_processes = 1


def initialize(method: str | None) -> None:
    """Connects to the other processes, if there are any; to be called before JAX starts.

    Args:
        method: how to find the other processes. `auto`: JAX finds them from the environment, under
            Slurm, on a TPU pod slice, with Open MPI or Kubernetes. `off`: there are none.
            `ADDRESS:PORT,PROCESSES,PROCESS`: address of process 0, number of processes, number of
            this process. None: `auto` if the environment names several processes, else `off`.

    Raises:
        ValueError: if `method` is none of these, or JAX does not find the processes.
        ConnectionError: if the processes do not connect in time.
    """
    address = re.fullmatch(r"([^,]+:\d+),(\d+),(\d+)", method or "")
    if method not in (None, "auto", "off") and not address:
        raise ValueError(f"--distributed is {method!r}; allowed: {ALLOWED}")
    if method == "off" or (method is None and not _has_other_processes(os.environ)):
        return
    # The service of JAX would replace the handler of SIGTERM in `preemption`.
    jax.config.update("jax_enable_preemption_service", False)
    options: dict[str, Any] = {}
    if address:
        options["coordinator_address"] = address[1]
        options |= {"num_processes": int(address[2]), "process_id": int(address[3])}
        options["cluster_detection_method"] = "deactivate"
    print(
        f"waiting up to {_JOINING_TIMEOUT_SECONDS} s for the other processes of this run "
        "(--distributed=off: there are no others)",
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
            f"--distributed is {method or 'auto'}: {_first_line(error)} Allowed: {ALLOWED}"
        ) from error
    except RuntimeError as error:
        raise ConnectionError(
            f"the other processes did not connect: {_first_line(error)}"
        ) from error
    # JAX ends this process with one line if another is lost. A dump of all threads would hide it.
    faulthandler.disable()
    log(
        f"{_State.num_processes} processes with {jax.device_count()} devices; if one is lost, the "
        f"others end within {_HEARTBEAT_TIMEOUT_SECONDS} s; start all again to resume"
    )


def _has_other_processes(environment: Any) -> bool:
    """Whether the environment of this process names other processes.

    The rules are those of JAX, except that a single Slurm task or a single TPU host is alone.
    """
    if "JAX_COORDINATOR_ADDRESS" in environment:
        return True
    # Only a step started by srun has a list of nodes.
    if "SLURM_STEP_NODELIST" in environment:
        return int(environment.get("SLURM_NTASKS", 1)) > 1
    return "," in environment.get("TPU_WORKER_HOSTNAMES", "")


def is_distributed() -> bool:
    """Whether this run has other processes."""
    return _State.num_processes > 1


def is_main_process() -> bool:
    """Whether this process writes files and messages and evaluates; true for a single process."""
    return _State.number == 0


def log(text: str) -> None:
    """Prints a message on stderr, in the main process only."""
    if is_main_process():
        print(text, file=sys.stderr)


@contextlib.contextmanager
def run_together() -> Iterator[None]:
    """Runs the body in all processes together, and disconnects them after it.

    A signal to one process is deferred until all processes stop at the same step: the train step
    shares the request to stop.
    """
    if not is_distributed():
        yield
        return
    with preemption.defer_signals():
        try:
            yield
        except preemption.InterruptedRunError:  # Raised in all processes at the same step.
            jax.distributed.shutdown()
            raise
        jax.distributed.shutdown()
    if preemption.stop_requested():
        raise preemption.InterruptedRunError("the training is finished and saved")


@contextlib.contextmanager
def report_lost_process() -> Iterator[None]:
    """Turns the error of JAX for a lost process into one line."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not jax.distributed.is_initialized():
            raise
        raise ConnectionError(
            f"process {_State.number} of {_State.num_processes} cannot continue; most likely "
            f"another process ended ({_first_line(error)}); start all again to resume"
        ) from error


def is_connected() -> bool:
    """Whether other processes are connected: a regular exit would wait for them."""
    return jax.distributed.is_initialized()


def warm_up_collectives() -> None:
    """Runs one collective operation, before the processes compile their steps.

    Gloo, which connects CPUs, requires all processes within 30 s at the first operation, and
    processes compile at different speeds.
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
    """Whether the argument is true in any process; waits for all processes."""
    if not is_distributed():
        return mine
    return bool(np.any(multihost_utils.process_allgather(np.array(mine))))


def barrier(place: str) -> None:
    """Waits until all processes have reached a place of the program."""
    if is_distributed():
        multihost_utils.sync_global_devices(place)


def check_same(name: str, value: int) -> None:
    """Checks that all processes have the same value; waits for all processes.

    Args:
        name: name of the value, for the error.
        value: an integer from 0 to 2^32 - 1.

    Raises:
        ValueError: in all processes, with the values of all.
    """
    if not is_distributed():
        return
    values = multihost_utils.process_allgather(np.uint32(value)).tolist()
    if len(set(values)) > 1:
        raise ValueError(f"the processes differ in {name}: {values}; allowed: one value")


def broadcast_from_main(tree: Any) -> Any:
    """The arrays of the main process: machines may round differently, and would diverge."""
    return multihost_utils.broadcast_one_to_all(tree) if is_distributed() else tree


def to_global(tree: Any) -> Any:
    """Arrays that are equal in all processes, as global arrays on the devices of all processes.

    `pmap` returns arrays on the devices of one process, which Orbax does not save.
    """
    if not is_distributed():
        return tree
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("device",))
    return multihost_utils.host_local_array_to_global_array(
        tree, mesh, jax.sharding.PartitionSpec()
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
