"""How well a map fits gaze: one scalar for one map, pure, to be used under `jit` and `vmap`.

Map metrics compare two maps (`cc`, `kld`), fixation metrics a map with points (`nss`). Every name
means exactly the variant that its docstring defines.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_KLD_EPSILON = 2.2204e-16


def cc(a: Float[Array, "height width"], b: Float[Array, "height width"]) -> Float[Array, ""]:
    """Pearson correlation of two maps; 0 if either is constant.

    Source: the usual definition; symmetric, unchanged by scale and offset of either map.
    """
    deviation_a, is_constant_a = _standardised(a)
    deviation_b, is_constant_b = _standardised(b)
    return jnp.where(is_constant_a | is_constant_b, 0.0, (deviation_a * deviation_b).mean())


def kld(
    *, target: Float[Array, "height width"], prediction: Float[Array, "height width"]
) -> Float[Array, ""]:
    """Kullback-Leibler divergence of the target from the prediction, in nats.

    sum Q log(eps + Q / (P + eps)), with Q the target and P the prediction, each divided by its sum
    first, eps 2.2204e-16. A zero map counts as uniform.

    Source: the definition of the MIT saliency benchmark.
    """
    target, prediction = _density(target), _density(prediction)
    return (target * jnp.log(_KLD_EPSILON + target / (prediction + _KLD_EPSILON))).sum()


def nss(
    *,
    saliency: Float[Array, "height width"],
    xy_px: Float[Array, "fixation 2"],
    mask: Bool[Array, " fixation"] | None = None,
) -> Float[Array, ""]:
    """Normalised scanpath saliency: mean of (value - mean) / std over the fixations.

    Args:
        saliency: any map.
        xy_px: fixations, x then y, in cells of the map; a fixation is in cell floor(x), floor(y).
        mask: True for the fixations that count; all do if it is not given.

    Returns:
        The mean; 0 for a constant map; NaN without fixations.

    Source: Peters et al. 2005; std with ddof 0.
    """
    standardised, is_constant = _standardised(saliency)
    column, row = jnp.floor(xy_px).astype(int).T
    values = standardised[row, column]
    weight = jnp.ones_like(values) if mask is None else mask.astype(values.dtype)
    mean = jnp.where(weight > 0, values, 0.0).sum() / weight.sum()
    return jnp.where(is_constant & (weight.sum() > 0), 0.0, mean)


def _standardised(
    saliency: Float[Array, "height width"],
) -> tuple[Float[Array, "height width"], Bool[Array, ""]]:
    """Zero mean and unit standard deviation, and whether the map is constant.

    Divided by the largest value first, so that float32 survives maps of 1e-30 and of 1e30; constant
    is decided by the range, since rounding gives a map of all 0.1 a tiny deviation.
    """
    is_constant = saliency.max() == saliency.min()
    largest = jnp.abs(saliency).max()
    scaled = saliency / jnp.where(largest > 0, largest, 1.0)
    deviation = scaled - scaled.mean()
    variance = (deviation**2).mean()
    return deviation / jnp.sqrt(jnp.where(is_constant, 1.0, variance)), is_constant


def _density(saliency: Float[Array, "height width"]) -> Float[Array, "height width"]:
    largest = saliency.max()
    scaled = jnp.where(largest > 0, saliency / jnp.where(largest > 0, largest, 1.0), 1.0)
    return scaled / scaled.sum()
