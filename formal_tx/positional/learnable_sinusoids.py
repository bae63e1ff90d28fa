"""LSPE (Findings of AACL-IJCNLP 2022, 42): a feed-forward network reads sinusoids and gives the rows of W_p.

What it gives is the positional table of Algorithm 2, so every architecture takes it as it is, and gradients flow back:

    params.replace(W_p=learnable_sinusoids(jnp.arange(hyperparameters.l_max), positions))

The abstract of the paper names such a network and no details of it: one hidden layer of width d_e, GELU and no residual
are a reconstruction, and everything is an option.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray, Real

from ..activations import gelu
from ..contracts import algorithm, is_concrete
from ..linear import affine, aligned, wide
from ..tagging import line
from ..validation import (
    as_arrays,
    require_count,
    require_fields,
    require_flags,
    require_key,
    require_kind,
    require_positive,
    require_shapes,
)


@struct.dataclass
class LearnableSinusoidsParameters:
    """`W_1` (d_ff, d_e), `b_1` (d_ff,), `W_2` (d_e, d_ff), `b_2` (d_e,); `omega` (d_e/2,) if frequencies are learned.

    Their number does not depend on l_max.
    """

    W_1: Float[Array, "d_ff d_e"]
    b_1: Float[Array, "d_ff"]
    W_2: Float[Array, "d_e d_ff"]
    b_2: Float[Array, "d_e"]
    omega: Float[Array, "half_d_e"] | None = None


def init_learnable_sinusoids(
    key: PRNGKeyArray,
    d_e: int,
    d_ff: int | None = None,
    *,
    learned_frequencies: bool = False,
    base: float = 10000.0,
) -> LearnableSinusoidsParameters:
    """Random parameters: matrices N(0, 1/d_in), biases 0, frequencies those of 1706.03762.

    Args:
      d_ff: width of the hidden layer; d_e unless given. learned_frequencies: omega is a parameter too.
    Raises:
      ValueError, TypeError: for sizes below 1, an odd d_e, or a base that is not greater than 1.
    """
    name = "init_learnable_sinusoids"
    d_ff = require_count(name, "d_ff", d_e if d_ff is None else d_ff, at_least=1)
    require_flags(name, learned_frequencies=learned_frequencies)
    omega = jnp.asarray(sinusoid_frequencies(d_e, base), float) if learned_frequencies else None
    of_1, of_2 = jax.random.split(require_key(name, key))
    W_1 = jax.random.normal(of_1, (d_ff, _even(name, d_e))) / d_e**0.5
    W_2 = jax.random.normal(of_2, (d_e, d_ff)) / d_ff**0.5
    return LearnableSinusoidsParameters(W_1, jnp.zeros(d_ff), W_2, jnp.zeros(d_e), omega)


def sinusoid_frequencies(d_e: int, base: float = 10000.0) -> np.ndarray:
    """base^(-2i/d_e) for i = 0 … d_e/2 - 1, in radians a token, in float64.

    Raises:
      ValueError, TypeError: if d_e is odd or below 2, or the base is not greater than 1.
    """
    require_positive("sinusoid_frequencies", base=base)
    if base <= 1:
        raise ValueError(f"sinusoid_frequencies: base is {base}, expected a number greater than 1")
    return base ** (-2.0 * np.arange(_even("sinusoid_frequencies", d_e) // 2) / d_e)


def _even(function: str, d_e: int) -> int:
    if require_count(function, "d_e", d_e, at_least=2) % 2:
        raise ValueError(f"{function}: d_e is {d_e}, expected an even number")
    return d_e


def sinusoids(t: Real[Array, "*batch l"], omega: Float[Array, "half_d_e"]) -> Float[Array, "*batch l d_e"]:
    """sin(ω_i t) in feature 2i and cos(ω_i t) in feature 2i + 1, of any positions t; nan for one below 0."""
    angle = t[..., None].astype(omega.dtype)
    angle = jnp.where(angle >= 0, angle, jnp.nan)
    angle = angle * aligned(omega, angle)
    return jnp.stack([jnp.sin(angle), jnp.cos(angle)], axis=-1).reshape(*t.shape, 2 * omega.shape[-1])


def _requires(t, params, activation, residual, base):
    name = "learnable_sinusoids"
    require_kind(name, "params", params, LearnableSinusoidsParameters, made_by="init_learnable_sinusoids")
    require_flags(name, residual=residual)
    if not callable(activation):
        raise TypeError(f"{name}: activation is {activation!r}, expected a function")
    matrices = require_fields(name, "params", params.replace(omega=None), may_lack=True)
    axes = {"W_1": "d_ff d_e", "b_1": "d_ff", "W_2": "d_e d_ff", "b_2": "d_e"}
    sizes = require_shapes(name, **{f"params.{field}": (getattr(matrices, field), a) for field, a in axes.items()})
    fixed = sinusoid_frequencies(_even(name, sizes["d_e"]), base)
    if params.omega is None:
        omega = jnp.asarray(fixed, wide(matrices.W_1).dtype)
    else:
        omega = wide(require_fields(name, "params", params).omega)
        if omega.shape != fixed.shape:
            raise ValueError(f"{name}: params.omega has shape {omega.shape}, expected {fixed.shape}: d_e/2 frequencies")
    return {"t": _positions(name, t), "params": matrices.replace(omega=omega)}


def _positions(name: str, t: Any) -> jax.Array:
    (t,) = as_arrays(name, t=t)
    if t.dtype == bool:
        raise TypeError(f"{name}: t has dtype bool, expected positions")
    require_shapes(name, t=(t, "... l"))
    if is_concrete(t):
        values = np.asarray(t, float)
        bad = np.argwhere(~(values >= 0) | np.isinf(values))
        if bad.size:
            index = tuple(map(int, bad[0]))
            where = ", ".join(map(str, index))
            raise ValueError(f"{name}: t[{where}] is {values[index]:g}, expected a finite number of at least 0")
    return jnp.asarray(t)


@algorithm(_requires, static=("activation", "residual", "base"))
def learnable_sinusoids(
    t: Real[Array, "*batch l"],
    params: LearnableSinusoidsParameters,
    activation: Callable[[jax.Array], jax.Array] = gelu,
    residual: bool = False,
    base: float = 10000.0,
) -> Float[Array, "*batch l d_e"]:
    """LSPE: rows of a positional table, by a feed-forward network that reads sinusoids.

    Args:
      t: (..., ℓ) positions, integers or not, t ≥ 0: there is no table that they could be beyond.
      params: `LearnableSinusoidsParameters`.
      activation: of the hidden layer. residual: whether the sinusoids themselves are added.
      base: of the frequencies, where they are not learned.
    Returns:
      P (..., ℓ, d_e); nan for a traced position below 0.
    Raises:
      TypeError: for positions that are no numbers, parameters of another kind, or an activation that is no function.
      ValueError: for a concrete position below 0, parameters that do not fit each other, an odd d_e, or a base that is
        not greater than 1.
    """
    assert params.omega is not None  # it is there, whether it is learned or not
    S = line(1, "S", sinusoids(t, params.omega).astype(params.W_1.dtype))
    Y = line(2, "Y", activation(affine(S, params.W_1, params.b_1)))
    P = line(3, "P", affine(Y, params.W_2, params.b_2))
    return line(5, "P", P + S) if residual else P
