"""A stage of training as plain data."""

from collections.abc import Callable
from typing import Any, NamedTuple

import optax
from jaxtyping import Array

from gazejax.inference.networks import Network
from gazejax.inputs.streaming import BatchStream
from gazejax.training.step import LossFunction


class Stage(NamedTuple):
    """One stage of training.

    Attributes:
        name: one of `STAGES`.
        network: what is trained.
        loss: mean loss over one device's share of a batch.
        constants: arrays the loss reads.
        stream: how the host makes batches, if images are stored; None if they are constants.
        optimizer: of Optax.
        num_steps: length of training.
        examples_per_step: pairs (encoders) or maps (the others) in a global batch.
        unit: what an example is called.
    """

    name: str
    network: Network
    loss: LossFunction
    constants: Any
    stream: BatchStream | None
    optimizer: optax.GradientTransformation
    num_steps: int
    examples_per_step: int
    unit: str


def with_initial_values(
    init: Callable[[Array], Any], start: dict[str, dict[str, Any]]
) -> Callable[[Array], Any]:
    """Gives parts of a network initial values; parts that the network has not are ignored."""

    def init_there(key: Array) -> Any:
        params = init(key)
        return params | {name: part for name, part in start.items() if name in params}

    return init_there
