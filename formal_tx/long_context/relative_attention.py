"""Transformer-XL's attention (1901.02860, section 3.3): a segment attends to itself and to a memory, by distance.

The scores of positions are changed scores (`Attending.score`), so that every implementation of `attend` computes them.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from .. import masks
from ..attend import attend
from ..attending import Attending, root
from ..attention import join_heads
from ..contracts import algorithm
from ..linear import affine, aligned
from ..parameters import MHAttentionParameters
from ..positional import sinusoid_halves
from ..tagging import line, stacked
from ..validation import (
    as_arrays,
    require_at_least_one,
    require_count,
    require_fields,
    require_floats,
    require_kind,
    require_shapes,
)

_EVERYTHING = np.iinfo(np.int32).max
"""A window that hides nothing."""


# Scores by distance


def relative_positions(d_e: int, k: int, clamp_len: int | None = None) -> np.ndarray:
    """R (k, d_e), a row for each distance k - 1, …, 1, 0, of which none above `clamp_len` is told apart.

    Raises:
      ValueError: if d_e is odd.
    """
    return sinusoid_halves(k, d_e)[np.minimum(np.arange(k)[::-1], k if clamp_len is None else clamp_len)]


def _relative_shift_requires(B):
    (B,) = as_arrays("relative_shift", B=B)
    sizes = require_shapes("relative_shift", B=(B, "... q k"))
    require_floats("relative_shift", B=B)
    if not 1 <= sizes["q"] <= sizes["k"]:
        raise ValueError(f"relative_shift: B has shape {B.shape}, expected (..., q, k) with 1 ≤ q ≤ k")
    return {"B": jnp.asarray(B)}


@algorithm(_relative_shift_requires)
def relative_shift(B: Float[Array, "*batch q k"]) -> Float[Array, "*batch q k"]:
    """Columns for distances become columns for keys, without a gather: each row moves by one more than the one above.

    Args:
      B: (..., q, k), column t for the distance k - 1 - t.
    Returns:
      (..., q, k), column j for the j-th key, at the distance i + (k - q) - j of the i-th query. Where that is negative
      the result is of no use: mask it.
    Raises:
      ValueError: unless 1 ≤ q ≤ k.
    """
    *batch, q, k = B.shape
    B = line(1, "B", jnp.pad(B, [(0, 0)] * (B.ndim - 1) + [(1, 0)]))
    B = line(2, "B", B.reshape(*batch, k + 1, q))
    B = line(3, "B", B[..., 1:, :])
    return line(4, "B", B.reshape(*batch, q, k))


def by_distance(B: Float[Array, "*batch q k"], t_x: Int[Array, " rows"], t_z: Int[Array, " columns"]) -> jax.Array:
    """The same by a gather, for some queries and keys: B (..., rows, columns) at the distances t_x - t_z.

    Queries stand at 0 … q - 1, and keys at q - k … q - 1.
    """
    t = B.shape[-1] - 1 - (t_x[:, None] - t_z[None, :])
    return B[..., jnp.broadcast_to(t_x[:, None], t.shape), jnp.clip(t, 0, B.shape[-1] - 1)]


@dataclass(frozen=True)
class _WithPositions:
    """Lines 10 to 12: scores by content A (..., rows, columns), and those by position, B (..., q, k) by distance.

    For all queries and keys at once the shift is faster than the gather, which blocks of them need.
    """

    d_attn: int

    def __call__(self, A: jax.Array, t_x: jax.Array, t_z: jax.Array, B: jax.Array) -> jax.Array:
        if A.shape != B.shape:
            return (A + by_distance(B, t_x, t_z)) / root(self.d_attn, A)
        A, B = line(10, "A", A), line(11, "B", relative_shift(B))
        return line(12, "S", (A + B) / root(self.d_attn, A))


# Attention


def _remembered(t_x, t_z, m, length, window):
    distance = t_x + m - t_z
    return (distance >= 0) & (distance < window) & (t_z >= m - length)


def _keys_remembered(first, last, l_z, m, length, window):
    return jnp.maximum(first + m - window + 1, m - length), last + m + 1


def remembered(m: int, length: jax.Array | int | None = None, window: int | None = None) -> masks.Mask:
    """What a query of a segment sees of m remembered tokens, the last `length` of them real, and of the segment.

    Itself and what is before it, or of that the last `window`.
    """
    arguments = (m, m if length is None else length, _EVERYTHING if window is None else window)
    return masks.Mask(_remembered, tuple(jnp.asarray(a, int) for a in arguments), _keys_remembered)


def position_keys(W_r: jax.Array, k: int, clamp_len: int | None) -> jax.Array:
    """Lines 4 and 9: P (*stack, k, d_attn) for W_r (*stack, d_attn, d_e). They are the same for every segment."""
    R = line(4, "R", jnp.asarray(relative_positions(W_r.shape[-1], k, clamp_len), W_r.dtype))
    return line(9, "P", affine(R, W_r))


def attend_relative(X, M, P, W, u, v, mask):
    """Lines 1 to 17 with P and the mask given."""
    q, k = X.shape[-2], M.shape[-2] + X.shape[-2]
    C = line(1, "C", jnp.concatenate([lax.stop_gradient(M), X], axis=-2))
    with stacked("heads", axis=-3):
        Q = line(6, "Q", affine(X, W.heads.W_q, W.heads.b_q))
        K = line(7, "K", affine(C, W.heads.W_k, W.heads.b_k))
        V = line(8, "V", affine(C, W.heads.W_v, W.heads.b_v))
        B = (Q + aligned(v[:, None, :], Q)) @ aligned(P.mT, Q)
        attending = Attending(scale=1.0, score=_WithPositions(Q.shape[-1]))
        t_x, t_z = jnp.arange(q), jnp.arange(k) - (k - q)
        Y_h = attend(Q + aligned(u[:, None, :], Q), K, V, mask, attending, t_x, t_z, B, heads=1)
        Y_h = line(14, "Y_h", Y_h)
    return line(17, "V_tilde", join_heads(Y_h, W))


def _relative_attention_requires(X, M, params, u, v, W_r, clamp_len, window):
    name, given = "relative_attention", {"X": X, "M": M, "u": u, "v": v, "W_r": W_r}
    require_kind(name, "params", params, MHAttentionParameters, made_by="init_mh_attention")
    given = dict(zip(given, as_arrays(name, **given), strict=True))
    params = require_fields(name, "params", params, may_lack=True)
    of_heads = {"W_q": "H d_attn d_e", "W_k": "H_kv d_attn d_e", "W_v": "H_kv d_mid d_e"}
    axes = {"X": "... q d_e", "M": "... m d_e", "u": "H d_attn", "v": "H d_attn", "W_r": "H d_attn d_e"}
    sizes = require_shapes(
        name,
        **{f"params.heads.{field}": (getattr(params.heads, field), names) for field, names in of_heads.items()},
        **{key: (given[key], names) for key, names in axes.items()},
    )
    require_floats(name, **given)
    require_at_least_one(name, X=sizes["q"])
    if sizes["H"] % sizes["H_kv"]:
        raise ValueError(f"{name}: params.heads.W_k has H_kv = {sizes['H_kv']}, expected a divisor of H = {sizes['H']}")
    if given["M"].shape[:-2] != given["X"].shape[:-2]:
        raise ValueError(
            f"{name}: M has leading axes {given['M'].shape[:-2]} and X has {given['X'].shape[:-2]}, expected the same: "
            "each sequence has a memory of its own"
        )
    require_even(name, sizes["d_e"])
    require_lengths(name, clamp_len=clamp_len, window=window)
    return {key: jnp.asarray(array) for key, array in given.items()} | {"params": params}


def require_even(function: str, d_e: int) -> None:
    """Raise `ValueError` for an odd width."""
    if d_e % 2:
        raise ValueError(f"{function}: d_e is {d_e}, expected an even number: half sines, half cosines")


def require_lengths(function: str, **lengths: int | None) -> None:
    """Raise `ValueError` for a length that is given and is not a static integer of at least 1."""
    for name, length in lengths.items():
        if length is not None:
            require_count(function, name, length, at_least=1)


@algorithm(_relative_attention_requires, static=("clamp_len", "window"))
def relative_attention(
    X: Float[Array, "*batch q d_e"],
    M: Float[Array, "*batch m d_e"],
    params: MHAttentionParameters,
    u: Float[Array, "H d_attn"],
    v: Float[Array, "H d_attn"],
    W_r: Float[Array, "H d_attn d_e"],
    *,
    clamp_len: int | None = None,
    window: int | None = None,
) -> Float[Array, "*batch q d_out"]:
    """Algorithm 5 of a segment to itself and to what is remembered, with Transformer-XL's scores.

    The score of query i for key j is ((Q_i + u) · K_j + (Q_i + v) · P_d) / √d_attn, where d is their distance.

    Args:
      X: (..., q, d_e) the segment. M: (..., m, d_e) the m tokens before it, a constant for gradients; m may be 0.
      params: `MHAttentionParameters`. u, v: (H, d_attn). W_r: (H, d_attn, d_e), of which P is made.
      clamp_len: the largest distance that is told apart; all of them unless given.
      window: how many tokens a query sees, itself included; all of them unless given.
    Returns:
      (..., q, d_out).
    Raises:
      TypeError, ValueError: if sizes differ, the segment is empty, d_e is odd, or a length is not at least 1.
    """
    m = M.shape[-2]
    P = position_keys(W_r, m + X.shape[-2], clamp_len)
    return attend_relative(X, M, P, params, u, v, remembered(m, window=window))
