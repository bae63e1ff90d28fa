"""Gated recurrent units, PyTorch's, with masked steps: what hierarchical attention reads words and sentences with.

The line numbers are those of `algorithms/long_context/hierarchical_attention.py`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ..contracts import algorithm
from ..linear import affine
from ..tagging import line
from ..validation import (
    as_arrays,
    require_at_least_one,
    require_fields,
    require_floats,
    require_kind,
    require_shapes,
)


@struct.dataclass
class GRUParameters:
    """A gated recurrent unit, PyTorch's: `W_·` (h, d) of inputs, `U_·` (h, h) of states, `b_·` and `c_n` (h,)."""

    W_z: Float[Array, "h d"]
    U_z: Float[Array, "h h"]
    b_z: Float[Array, "h"]
    W_r: Float[Array, "h d"]
    U_r: Float[Array, "h h"]
    b_r: Float[Array, "h"]
    W_n: Float[Array, "h d"]
    U_n: Float[Array, "h h"]
    b_n: Float[Array, "h"]
    c_n: Float[Array, "h"]


@struct.dataclass
class BidirectionalGRUParameters:
    """The two units of a sequence that is read from both sides."""

    forward: GRUParameters
    backward: GRUParameters


def init_gru(key: PRNGKeyArray, *, d: int, h: int) -> GRUParameters:
    """Random parameters of a unit with d inputs and h states."""
    keys = jax.random.split(key, 6)
    W_z, W_r, W_n = (d**-0.5 * jax.random.normal(k, (h, d)) for k in keys[:3])
    U_z, U_r, U_n = (h**-0.5 * jax.random.normal(k, (h, h)) for k in keys[3:])
    b_z, b_r, b_n, c_n = (jnp.zeros(h) for _ in range(4))
    return GRUParameters(W_z, U_z, b_z, W_r, U_r, b_r, W_n, U_n, b_n, c_n)


def _gru_axes(W: Any, path: str) -> dict[str, tuple[Any, str]]:
    """The fields of a unit and their axes, as `require_shapes` takes them."""
    axes = {"W": "h d", "U": "h h", "b": "h", "c": "h"}
    return {f"{path}.{name}": (getattr(W, name), axes[name[0]]) for name in GRUParameters.__dataclass_fields__}


def require_rows(function: str, name: str, X: Any, real: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sequences (..., n, d), which of their rows are real, and the axes of both."""
    (X,) = as_arrays(function, **{name: X})
    axes = {name: (X, "... n d")}
    require_at_least_one(function, **{name: require_shapes(function, **axes)["n"]})
    require_floats(function, **{name: X})
    if real is None:
        return {name: jnp.asarray(X)}, axes
    (real,) = as_arrays(function, real=real)
    if real.dtype != bool:
        raise TypeError(f"{function}: real has dtype {real.dtype}, expected bool with true for what is no padding")
    if real.shape != X.shape[:-1]:
        raise ValueError(
            f"{function}: real has shape {real.shape}, expected {X.shape[:-1]}: one for each row of {name}"
        )
    return {name: jnp.asarray(X), "real": jnp.asarray(real)}, axes


def all_real(X: jax.Array, real: jax.Array | None) -> jax.Array:
    return jnp.ones(X.shape[:-1], bool) if real is None else real


def _gru_requires(X, params, real):
    require_kind("gru", "params", params, GRUParameters, made_by="init_gru")
    canonical, axes = require_rows("gru", "X", X, real)
    params = require_fields("gru", "params", params)
    require_shapes("gru", **axes, **_gru_axes(params, "params"))
    return canonical | {"params": params}


def _cell_requires(x, s, params):
    require_kind("gru_cell", "params", params, GRUParameters, made_by="init_gru")
    x, s = as_arrays("gru_cell", x=x, s=s)
    params = require_fields("gru_cell", "params", params)
    require_shapes("gru_cell", x=(x, "... d"), s=(s, "... h"), **_gru_axes(params, "params"))
    require_floats("gru_cell", x=x, s=s)
    if x.shape[:-1] != s.shape[:-1]:
        raise ValueError(f"gru_cell: s has shape {s.shape}, expected a state for each row of x, of shape {x.shape}")
    return {"x": jnp.asarray(x), "s": jnp.asarray(s), "params": params}


@algorithm(_cell_requires)
def gru_cell(
    x: Float[Array, "*batch d"], s: Float[Array, "*batch h"], params: GRUParameters
) -> Float[Array, "*batch h"]:
    """A gated recurrent unit: the states (..., h) after one more input `x` (..., d), which were `s` (..., h) before.

    Raises:
      ValueError: if the sizes do not belong together. TypeError: for what are no floating arrays.
    """
    of_x = _of_inputs(x.reshape(-1, x.shape[-1]), params)
    return _cell(of_x, s.reshape(-1, s.shape[-1]), params).reshape(s.shape)


def _of_inputs(X, params):
    """What the gates take from inputs (..., l, d): (..., 3, l, h), for all of them at once."""
    stacked = (jnp.stack([getattr(params, f"{W}_{gate}") for gate in "zrn"]) for W in "Wb")
    return affine(X, *stacked)


@jax.jit
def _cell(of_x, s, params):
    """Lines 1 to 4 of the unit for states (n, h); `of_x` (3, n, h) is what the gates take from the inputs."""
    U = jnp.stack([params.U_z, params.U_r, params.U_n])
    of_s = affine(s, U, jnp.stack([jnp.zeros_like(params.c_n), jnp.zeros_like(params.c_n), params.c_n]))
    z = line(1, "z", jax.nn.sigmoid(of_x[0] + of_s[0]))
    r = line(2, "r", jax.nn.sigmoid(of_x[1] + of_s[1]))
    n = line(3, "n", jnp.tanh(of_x[2] + r * of_s[2]))
    return line(4, "s", (1 - z) * n + z * s)


@algorithm(_gru_requires)
def gru(
    X: Float[Array, "*batch l d"], params: GRUParameters, real: Bool[Array, "*batch l"] | None = None
) -> Float[Array, "*batch l h"]:
    """A gated recurrent unit reads sequences: its states (..., l, h) after each row of `X` (..., l, d).

    Args:
      real: (..., l) which rows are no padding, all of them unless given. The others change nothing.
    Raises:
      ValueError: if the sizes do not belong together. TypeError: for what are no floating arrays, or a `real` that is
        not boolean.
    """
    *batch, l, d = X.shape
    line(1, "l", l)
    X, real = X.reshape(-1, l, d), all_real(X, real).reshape(-1, l)
    s = line(2, "s", jnp.zeros((len(X), len(params.b_z)), X.dtype))

    def step(s, of_t):
        of_x, real = of_t
        s = line(4, "s", jnp.where(real[:, None], _cell(of_x, s, params), s))
        return s, s

    _, S = lax.scan(step, s, (jnp.moveaxis(_of_inputs(X, params), 2, 0).swapaxes(1, 2), real.T))
    return line(5, "S", jnp.moveaxis(S, 0, 1).reshape(*batch, l, -1))


def _both_requires(X, params, real):
    name, kind = "bidirectional_gru", BidirectionalGRUParameters
    require_kind(name, "params", params, kind, made_by="init_hierarchical_attention")
    canonical, axes = require_rows(name, "X", X, real)
    params = require_fields(name, "params", params)
    units = _gru_axes(params.forward, "params.forward") | _gru_axes(params.backward, "params.backward")
    require_shapes(name, **axes, **units)
    return canonical | {"params": params}


@algorithm(_both_requires)
def bidirectional_gru(
    X: Float[Array, "*batch l d"], params: BidirectionalGRUParameters, real: Bool[Array, "*batch l"] | None = None
) -> Float[Array, "*batch l two_h"]:
    """States (..., l, 2h) of a unit that has read up to each row of `X` (..., l, d), and of one from the other end.

    Arguments and errors as `gru`. The one that reads from the end begins at the last row that is real.
    """
    real = all_real(X, real)
    S_forward = line(1, "S_forward", gru(X, params.forward, real))
    S_backward = line(2, "S_backward", gru(X[..., ::-1, :], params.backward, real[..., ::-1])[..., ::-1, :])
    return line(3, "H", jnp.concatenate([S_forward, S_backward], axis=-1))
