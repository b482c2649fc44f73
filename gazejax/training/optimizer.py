"""The optimizer of a stage."""

from collections.abc import Callable, Mapping
from typing import Literal

import jax
import optax

from gazejax.types import Params


def make_optimizer(
    *,
    num_steps: int,
    learning_rate: float,
    schedule: Literal["constant", "one_cycle"],
    warmup_steps: int,
    weight_decay: float,
    clip_norm: float,
    decay_of_part: Mapping[str, float] | None = None,
    relative_rate_of_part: Mapping[str, float] | None = None,
) -> optax.GradientTransformation:
    """AdamW after clipping by the global norm. Ours: the paper's optimiser is not known to us.

    Args:
        num_steps: length of training.
        learning_rate: the highest one.
        schedule: `one_cycle`: linear warm-up, then a cosine to zero; `constant` after warm-up.
        warmup_steps: steps of the warm-up.
        weight_decay: of AdamW; 0 is Adam.
        clip_norm: largest global norm of the gradient.
        decay_of_part: other weight decays, for parts of the model by their names.
        relative_rate_of_part: learning rates relative to that of the rest, likewise.
    """
    warmup = optax.linear_schedule(0.0, learning_rate, warmup_steps)
    if schedule == "one_cycle":
        after = optax.cosine_decay_schedule(learning_rate, max(num_steps - warmup_steps, 1))
    else:
        after = optax.constant_schedule(learning_rate)
    rate = optax.join_schedules([warmup, after], [warmup_steps])
    decays, rates = dict(decay_of_part or {}), dict(relative_rate_of_part or {})

    def where(is_meant: Callable[[str], bool]) -> Callable[[Params], Params]:
        return lambda params: jax.tree.map_with_path(lambda path, _: is_meant(path[0].key), params)

    return optax.chain(
        optax.clip_by_global_norm(clip_norm),
        optax.scale_by_adam(),
        optax.add_decayed_weights(weight_decay, where(lambda name: name not in decays)),
        *(optax.add_decayed_weights(decay, where(part.__eq__)) for part, decay in decays.items()),
        optax.scale_by_learning_rate(rate),
        *(optax.masked(optax.scale(rate), where(part.__eq__)) for part, rate in rates.items()),
    )
