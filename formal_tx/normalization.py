"""Algorithm 6, layer normalization, and RMSNorm."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .contracts import algorithm, is_concrete
from .linear import aligned, wide
from .tagging import line
from .validation import (
    as_arrays,
    require_floats,
    require_number,
    require_shapes,
)


def _requires(function: str) -> Callable[..., dict[str, Any]]:
    """What a norm of this name requires of its arguments."""

    def requires(e, gamma, beta, epsilon):
        given = {"e": e, "gamma": gamma} | ({} if beta is None else {"beta": beta})
        given = dict(zip(given, as_arrays(function, **given), strict=True))
        axes = {"e": "... d_e", "gamma": "d_e", "beta": "d_e"}
        require_shapes(function, **{name: (array, axes[name]) for name, array in given.items()})
        require_floats(function, **given)
        arrays = {name: jnp.asarray(array) for name, array in given.items()}
        return {"beta": None} | arrays | {"epsilon": _require_epsilon(function, epsilon)}

    return requires


def _require_epsilon(function, epsilon):
    """A number that is not negative; one that is, and cannot be seen to be, becomes nan."""
    require_number(function, "epsilon", epsilon)
    if not is_concrete(epsilon):
        return jnp.where(epsilon >= 0, epsilon, jnp.nan)
    if not 0 <= float(epsilon) < float("inf"):
        raise ValueError(f"{function}: epsilon is {epsilon}, expected a finite number of at least 0")
    return float(epsilon)


@algorithm(_requires("layer_norm"))
def layer_norm(
    e: Float[Array, "*batch d_e"],
    gamma: Float[Array, "d_e"],
    beta: Float[Array, "d_e"] | None = None,
    *,
    epsilon: Any = 1e-5,
) -> Float[Array, "*batch d_e"]:
    """Algorithm 6: normalises the features of each token to mean 0 and variance 1, then scales and shifts them.

    Args:
      e: (..., d_e) activations.
      gamma: (d_e,) scale.
      beta: (d_e,) offset, or None for none.
      epsilon: added to the variance, inside the root. The paper prints none, which is `epsilon=0` (E10).
    Returns:
      (..., d_e); nan for a constant `e` when `epsilon` is 0, which is 0/0 in the paper.
    Raises:
      ValueError: if the widths differ.
    """
    dtype, e, gamma = e.dtype, wide(e), wide(gamma)
    m = line(1, "m", jnp.mean(e, axis=-1))
    v = line(2, "v", jnp.mean((e - m[..., None]) ** 2, axis=-1))
    normalised = (e - m[..., None]) / jnp.sqrt(v + epsilon)[..., None]
    scaled = normalised * aligned(gamma, e)
    return line(3, "e_hat", (scaled if beta is None else scaled + aligned(wide(beta), e)).astype(dtype))


def _root_mean_square(e, epsilon):
    """`e` (..., d_e) over the root of the mean of its squares, in at least float32."""
    e = wide(e)
    return e / jnp.sqrt(jnp.mean(e**2, axis=-1, keepdims=True) + epsilon)


@algorithm(_requires("rms_norm"))
def rms_norm(
    e: Float[Array, "*batch d_e"],
    gamma: Float[Array, "d_e"],
    beta: Float[Array, "d_e"] | None = None,
    *,
    epsilon: Any = 1e-5,
) -> Float[Array, "*batch d_e"]:
    """RMSNorm (1910.07467): Algorithm 6 without the mean. Arguments, result and errors as `layer_norm`.

    The line numbers are those of `algorithms/variations/norm.py`.
    """
    normalised = line(1, "e_hat", _root_mean_square(e, epsilon))
    scaled = normalised * aligned(wide(gamma), e)
    return line(2, "e_hat", (scaled if beta is None else scaled + aligned(wide(beta), e)).astype(e.dtype))


@algorithm(_requires("rms_norm_about_one"))
def rms_norm_about_one(
    e: Float[Array, "*batch d_e"],
    gamma: Float[Array, "d_e"],
    beta: Float[Array, "d_e"] | None = None,
    *,
    epsilon: Any = 1e-5,
) -> Float[Array, "*batch d_e"]:
    """RMSNorm whose scale is 1 + γ, as Gemma stores it. Arguments, result and errors as `layer_norm`."""
    normalised = line(1, "e_hat", _root_mean_square(e, epsilon))
    scaled = normalised * aligned(1 + wide(gamma), e)
    return line(2, "e_hat", (scaled if beta is None else scaled + aligned(wide(beta), e)).astype(e.dtype))
