"""The optimizer of a stage."""

from collections.abc import Callable, Mapping

import jax
import optax

from gazejax.types import Params


def make_optimizer(
    *,
    num_steps: int,
    learning_rate: float,
    warmup_steps: int,
    weight_decay: float,
    clip_norm: float,
    decay_of_part: Mapping[str, float] | None = None,
) -> optax.GradientTransformation:
    """AdamW after clipping by the global norm. Ours: the paper's optimizer is not known to us.

    Args:
        num_steps: length of training.
        learning_rate: the highest one.
        warmup_steps: steps of a linear warm-up, after which the rate falls to zero as a cosine.
        weight_decay: of AdamW; 0 is Adam.
        clip_norm: largest global norm of the gradient.
        decay_of_part: other weight decays, for parts of the model by their names.
    """
    rate = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, warmup_steps, max(num_steps, warmup_steps + 1)
    )
    decays = dict(decay_of_part or {})

    def where(is_meant: Callable[[str], bool]) -> Callable[[Params], Params]:
        return lambda params: jax.tree.map_with_path(lambda path, _: is_meant(path[0].key), params)

    return optax.chain(
        optax.clip_by_global_norm(clip_norm),
        optax.scale_by_adam(),
        optax.add_decayed_weights(weight_decay, where(lambda name: name not in decays)),
        *(optax.add_decayed_weights(decay, where(part.__eq__)) for part, decay in decays.items()),
        optax.scale_by_learning_rate(rate),
    )
