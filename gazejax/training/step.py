"""The train step, a `jax.pmap` over the local devices.

State and data are replicated without a stacked device axis; the only thing mapped is the number of
the device, from which a loss takes its share of the global batch. The global batch, and so the
result, does not depend on how many devices there are.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, UInt32

from gazejax.inputs.sampling import batch_key, step_key
from gazejax.runtime.devices import DEVICE_AXIS, is_local, own_devices
from gazejax.types import Params

# (params, constants, batch, key, device number) -> (loss, metrics) of a device. The means over the
# devices are those of the batch.
LossFunction = Callable[[Params, Any, Any, Array, Array], tuple[Array, dict[str, Array]]]


class TrainState(NamedTuple):
    """All that training changes, and all that a checkpoint must hold.

    Attributes:
        params: nested dictionary of the model's parameters.
        optimizer_state: of the Optax optimizer.
        step: number of batches sampled so far, skipped updates included.
        key_data: the seed as raw key data; the batch of a step depends on it and the step alone.
        num_skipped: updates skipped because the loss or a gradient was not finite.
        num_skipped_in_a_row: how many of them since the last update that was not skipped.
    """

    params: Params
    optimizer_state: optax.OptState
    step: Int[Array, ""]
    key_data: UInt32[Array, " word"]
    num_skipped: Int[Array, ""]
    num_skipped_in_a_row: Int[Array, ""]


def init_state(
    init_params: Callable[[Array], Params], optimizer: optax.GradientTransformation, seed: int
) -> TrainState:
    """Makes the state before the first step; jitted whole, since eager initialization is slow."""

    @jax.jit
    def init() -> TrainState:
        params_key, _ = jax.random.split(jax.random.key(seed))
        params = init_params(params_key)
        zero = jnp.int32(0)
        key_data = jax.random.key_data(batch_key(seed))
        return TrainState(params, optimizer.init(params), zero, key_data, zero, zero)

    return init()


def make_train_step(
    loss_function: LossFunction,
    optimizer: optax.GradientTransformation,
    *,
    devices: Sequence[jax.Device],
    steps_per_dispatch: int,
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
    """Builds the pmapped train step: (state, constants, batch, stop_requested) -> (state, metrics).

    The gradient is averaged over devices *after* it was taken: under `pmap` the gradient of an
    averaged loss is wrong. An update whose loss or gradient is not finite is skipped and counted.

    Args:
        loss_function: the loss of a device: of its share, or of the whole batch.
        optimizer: an Optax optimizer.
        devices: the devices to use, equally many of each process.
        steps_per_dispatch: steps that run before control returns to the host.

    Returns:
        A function that gives up its first argument's memory. Its batch is None where the loss finds
        all it needs among the constants; else arrays with leading axes [local device, step].
        Metrics have a leading axis of steps, but `stop_requested`: whether a process was asked to
        stop. The step carries that, since CPU devices of several processes must exchange values in
        one order.
    """

    def one_step(
        state: TrainState, constants: Any, batch: Any, device: Array
    ) -> tuple[TrainState, dict[str, Array]]:
        key = step_key(jax.random.wrap_key_data(state.key_data), state.step)
        (loss, metrics), gradient = jax.value_and_grad(loss_function, has_aux=True)(
            state.params, constants, batch, key, device
        )
        gradient, loss, metrics = jax.lax.pmean((gradient, loss, metrics), DEVICE_AXIS)
        norm = optax.tree.norm(gradient)
        is_finite = jnp.isfinite(loss) & jnp.isfinite(norm)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer_state, state.params)
        params = optax.apply_updates(state.params, updates)
        params, optimizer_state = jax.tree.map(
            lambda new, old: jnp.where(is_finite, new, old),
            (params, optimizer_state),
            (state.params, state.optimizer_state),
        )
        state = TrainState(
            params=params,
            optimizer_state=optimizer_state,
            step=state.step + 1,
            key_data=state.key_data,
            num_skipped=state.num_skipped + ~is_finite,
            num_skipped_in_a_row=jnp.where(is_finite, 0, state.num_skipped_in_a_row + 1),
        )
        metrics = {
            **metrics,
            "loss": loss,
            "gradient_norm": norm,
            "num_skipped": state.num_skipped,
            "num_skipped_in_a_row": state.num_skipped_in_a_row,
        }
        return state, metrics

    def dispatch(
        state: TrainState, constants: Any, batches: Any, device: Array, stop_requested: Array
    ) -> tuple[TrainState, dict[str, Array]]:
        if steps_per_dispatch == 1:  # A scanned convolution step is 10 times slower on a CPU.
            batch = jax.tree.map(lambda value: value[0], batches)
            state, metrics = one_step(state, constants, batch, device)
            metrics = jax.tree.map(lambda value: value[None], metrics)
        else:
            state, metrics = jax.lax.scan(
                lambda state, batch: one_step(state, constants, batch, device),
                state,
                batches,
                length=steps_per_dispatch,
            )
        return state, metrics | {"stop_requested": jax.lax.pmax(stop_requested, DEVICE_AXIS)}

    step = jax.pmap(
        dispatch,
        axis_name=DEVICE_AXIS,
        in_axes=(None, None, 0, 0, 0),
        out_axes=(None, None),
        devices=list(devices),
        donate_argnums=0,
    )
    mesh = jax.sharding.Mesh(np.array(own_devices(devices)), (DEVICE_AXIS,))
    one_each = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(DEVICE_AXIS))
    numbers = np.array([number for number, device in enumerate(devices) if is_local(device)])
    device_numbers = jax.device_put(numbers, one_each)
    requests = {
        request: jax.device_put(np.full(len(numbers), request), one_each)
        for request in (False, True)
    }

    def train_step(
        state: TrainState, constants: Any, batch: Any, stop_requested: bool = False
    ) -> tuple[TrainState, dict[str, Array]]:
        return step(state, constants, batch, device_numbers, requests[stop_requested])

    return train_step
