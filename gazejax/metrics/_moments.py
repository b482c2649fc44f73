"""NSS and CC from the means and mean squares of rows, in two passes over most maps.

The deviation of a map is written to memory only where the moments are not precise enough: the range
is small beside the offset, or squares leave float32.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gazejax.metrics import _kernels
from gazejax.metrics._kernels import Fixations

# The variance is the mean square minus the squared mean where it is at least this share of the mean
# square, so that the difference loses no more than eight bits of float32.
_LEAST_VARIANCE_SHARE = 1 / 256


class _Moments(NamedTuple):
    """Mean and variance of a map, means of its rows, and whether a deviation is not needed."""

    mean: Float[Array, ""]
    variance: Float[Array, ""]
    of_rows: Float[Array, " height"]
    is_enough: Bool[Array, ""]


@jax.custom_jvp
@_kernels.jit
def nss(saliency: Float[Array, "height width"], fixations: Fixations) -> Float[Array, ""]:
    found = _moments(saliency)
    value = (_kernels.mean_at(saliency, fixations) - found.mean) / jnp.sqrt(found.variance)
    value = _kernels.or_nan(value, saliency, fixations)
    return _if(found.is_enough, value, lambda one: _nss_of_deviation(one, fixations), saliency)


@jax.custom_jvp
@_kernels.jit
def cc(a: Float[Array, "height width"], b: Float[Array, "height width"]) -> Float[Array, ""]:
    one, other = _moments(a), _moments(b)
    within = (a * b).mean(axis=1) - one.of_rows * other.of_rows
    between = (one.of_rows - one.mean) * (other.of_rows - other.mean)
    covariance = within.mean() + between.mean()
    value = covariance / (jnp.sqrt(one.variance) * jnp.sqrt(other.variance))
    is_enough = one.is_enough & other.is_enough
    return _if(is_enough, value, lambda both: _cc_of_deviation(*both), (a, b))


@nss.defjvp
def _nss_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    saliency, fixations = primals
    return jax.jvp(lambda one: _nss_of_deviation(one, fixations), (saliency,), (tangents[0],))


@cc.defjvp
def _cc_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    return jax.jvp(_cc_of_deviation, primals, tangents)


def _nss_of_deviation(saliency: Array, fixations: Fixations) -> Array:
    return _kernels.nss(_without_offset(saliency), fixations)


def _cc_of_deviation(a: Array, b: Array) -> Array:
    return _kernels.cc(_without_offset(a), _without_offset(b))


def _without_offset(saliency: Float[Array, "height width"]) -> Float[Array, "height width"]:
    """The map less one of its pixels: beside a large offset, float32 would round the mean.

    A pixel is no farther from the others than the minimum, which would take another pass. No
    gradient depends on it.
    """
    return saliency - jax.lax.stop_gradient(saliency[0, 0])


def _moments(saliency: Float[Array, "height width"]) -> _Moments:
    of_rows, squares = saliency.mean(axis=1), (saliency * saliency).mean(axis=1)
    mean, square = of_rows.mean(), squares.mean()
    # Within rows and between rows: their errors are independent and cancel in the mean.
    variance = (squares - of_rows * of_rows).mean() + jnp.square(of_rows - mean).mean()
    is_precise = (variance > square * _LEAST_VARIANCE_SHARE) & (square > 1e-30) & (square < 1e30)
    # Of a map with NaN, the deviation is no better.
    return _Moments(mean, variance, of_rows, is_precise | jnp.isnan(mean))


def _if(
    is_enough: Bool[Array, ""],
    value: Float[Array, ""],
    compute: Callable[[Any], Float[Array, ""]],
    maps: Any,
) -> Float[Array, ""]:
    """The value, or what is computed of maps where it is not enough.

    It is a loop, which then runs once, because both branches of a condition are computed inside
    `vmap`.
    """

    def run(state: tuple[Array, Array]) -> tuple[Array, Array]:
        # Depends on the state, or XLA computes it before the loop, whether or not that runs.
        values, _ = jax.lax.optimization_barrier((maps, state))
        return compute(values), jnp.array(True)

    return jax.lax.while_loop(lambda state: ~state[1], run, (value, is_enough))[0]
