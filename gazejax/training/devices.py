"""Which devices train, and whether they can share a batch."""

import os

import jax

from gazejax.runtime import distributed


def check_even_shares(name: str, batch: int, devices: list[jax.Device]) -> None:
    """Refuses devices that cannot share a batch evenly."""
    if batch % len(devices):
        raise ValueError(
            f"config.{name} gives a batch of {batch} to share among "
            f"{len(devices)} devices; allowed: a multiple of the devices"
        )


def configure_host_devices(batch_divisor: int) -> None:
    """Makes JAX split a CPU into several devices; has no effect on accelerators.

    As many as the largest number that divides the batches of all stages and does not exceed the
    cores. Does nothing once JAX has started, or where the user has set a number.

    Args:
        batch_divisor: see `config.derived.batch_divisor`.
    """
    is_set = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if is_set or "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    try:
        jax.config.update("jax_num_cpu_devices", devices_that_share(batch_divisor, cores))
    except RuntimeError:  # JAX has started: its devices are what they are.
        return


def choose_devices(batch_divisor: int) -> list[jax.Device]:
    """As many devices of every process as can share the batches of all stages evenly.

    Args:
        batch_divisor: see `config.derived.batch_divisor`.

    Raises:
        ValueError: if the processes have different numbers of devices, or are too many.
    """
    every = [jax.local_devices(number) for number in range(jax.process_count())]
    numbers = [len(devices) for devices in every]
    if len(set(numbers)) > 1:
        raise ValueError(f"the processes have {numbers} devices; allowed: equally many each")
    number = devices_that_share(batch_divisor, numbers[0], num_processes=len(every))
    if number < numbers[0]:
        distributed.log(
            f"using {number} of {numbers[0]} devices: more cannot share the batches of "
            "config.encoder.batch, config.saliency.batch and config.universal evenly"
        )
    return [device for devices in every for device in devices[:number]]


def devices_that_share(batch_divisor: int, most: int, *, num_processes: int = 1) -> int:
    """The largest number of devices of each process, at most `most`, that share batches evenly.

    Raises:
        ValueError: if the processes alone are too many.
    """
    if batch_divisor % num_processes:
        raise ValueError(
            f"{num_processes} processes cannot share the batches of config.encoder.batch, "
            "config.saliency.batch and config.universal evenly; allowed: a divisor of "
            f"{batch_divisor}"
        )
    return max(n for n in range(1, most + 1) if batch_divisor % (n * num_processes) == 0)
