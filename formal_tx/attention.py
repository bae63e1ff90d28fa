"""Algorithms 3, 4 and 5: attention with one query, with many, and with many heads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from . import masks
from .contracts import algorithm, is_concrete
from .linear import affine, aligned, softmax
from .parameters import AttentionParameters, MHAttentionParameters
from .tagging import line, stacked
from .validation import (
    as_arrays,
    require_at_least_one,
    require_batch,
    require_fields,
    require_floats,
    require_kind,
    require_shapes,
)


@dataclass(frozen=True)
class Attending:
    """What variations change in Algorithm 4; as it stands, nothing.

    Attributes:
      rotate: (Q or K, t) -> the same shape: turns queries and keys (..., ℓ, d_attn) by their positions (RoPE).
      score: (S, t_x, t_z, W_r) -> S: changes the scaled scores (..., H, ℓ_x, ℓ_z) before the mask (ALiBi, T5, caps).
      scale: what scores are multiplied by; 1 / √d_attn unless given.
      normalise: (Q or K, gamma) -> the same shape: normalises queries and keys (QK-norm), before they turn.
      inner: (Y, gamma, beta) -> Y: normalises the stacked heads before W_o (sub-LN).
    """

    rotate: Callable[..., jax.Array] | None = None
    score: Callable[..., jax.Array] | None = None
    scale: float | None = None
    normalise: Callable[..., jax.Array] | None = None
    inner: Callable[..., jax.Array] | None = None

    def turned(self, A: jax.Array, gamma: jax.Array | None, t: jax.Array | None) -> jax.Array:
        """Queries or keys (..., heads, ℓ, d_attn) normalised and turned; t (..., ℓ), by default 0, 1, 2, …"""
        if self.normalise is not None:
            A = self.normalise(A, gamma)
        return A if self.rotate is None else self.rotate(A, _positions(t, A, A.shape[-2]))

    def scaled(self, S: jax.Array, d_attn: int) -> jax.Array:
        """S / √d_attn, or the scale that is given instead."""
        return S / _root(d_attn, S) if self.scale is None else S * jnp.asarray(self.scale, S.dtype)

    def weights(self, S, mask, d_attn, t_x=None, t_z=None, W_r=None):
        """Lines 5 and 6 of Algorithm 4: S masked, and the softmax of what then is S / √d_attn."""
        if self.score is not None:
            t_x = jnp.arange(S.shape[-2]) if t_x is None else t_x
            t_z = jnp.arange(S.shape[-1]) if t_z is None else t_z
            S = self.score(self.scaled(S, d_attn), t_x, t_z, W_r)
        S = line(5, "S", jnp.where(aligned(mask, S), S, -jnp.inf))
        return line(6, "A", softmax(S if self.score is not None else self.scaled(S, d_attn)))


def _positions(t: jax.Array | None, A: jax.Array, length: int) -> jax.Array:
    """Positions (..., ℓ) with an axis for the heads of A (..., heads, ℓ, d) where they have axes for a batch."""
    if t is None:
        return jnp.arange(length)
    return t if t.ndim == 1 else t.reshape(*t.shape[:-1], *(1,) * (A.ndim - 1 - t.ndim), length)


AS_PRINTED = Attending()
"""Algorithm 4 as printed."""


def _single_query_requires(e, context, params):
    name = "basic_single_query_attention"
    e, context = as_arrays(name, e=e, context=context)
    params = _head(name, "params", params)
    sizes = require_shapes(
        name,
        e=(e, "... d_in"),
        context=(context, "... T d_in"),
        **_axes(
            params, W_q="d_attn d_in", b_q="d_attn", W_k="d_attn d_in", b_k="d_attn", W_v="d_out d_in", b_v="d_out"
        ),
    )
    require_floats(name, e=e, context=context)
    require_at_least_one(name, context=sizes["T"])
    require_batch(name, e=e.shape[:-1], context=context.shape[:-2])
    return {"e": jnp.asarray(e), "context": jnp.asarray(context), "params": params}


def _head(function: str, name: str, params: Any) -> AttentionParameters:
    require_kind(function, name, params, AttentionParameters, made_by="init_attention")
    for field in ("W_q", "W_k", "W_v"):
        as_arrays(function, **{f"{name}.{field}": getattr(params, field)})
    return require_fields(function, name, params, may_lack=True)


def _axes(params: Any, path: str = "params", **axes: str) -> dict[str, tuple[jax.Array, str]]:
    """The fields of `params` and their axes, by path, as `require_shapes` takes them; a bias may be missing."""
    given = {field: names for field, names in axes.items() if getattr(params, field) is not None}
    return {f"{path}.{field}": (getattr(params, field), names) for field, names in given.items()}


@algorithm(_single_query_requires)
def basic_single_query_attention(
    e: Float[Array, "*#batch d_in"], context: Float[Array, "*#batch T d_in"], params: AttentionParameters
) -> Float[Array, "*batch d_out"]:
    """Algorithm 3: one token asks, the tokens of its context answer.

    Args:
      e: (..., d_in) current token.
      context: (..., T, d_in) context tokens, T ≥ 1.
      params: `AttentionParameters` with d_x = d_z = d_in.
    Returns:
      (..., d_out).
    Raises:
      ValueError: if the context is empty or widths differ.
    """
    q = line(1, "q", affine(e[..., None, :], params.W_q, params.b_q)[..., 0, :])
    k = line(2, "k", affine(context, params.W_k, params.b_k))
    v = line(3, "v", affine(context, params.W_v, params.b_v))
    alpha = line(4, "alpha", jax.nn.softmax((k @ q[..., None])[..., 0] / _root(q.shape[-1], q), axis=-1))
    return line(5, "v_tilde", (alpha[..., None, :] @ v)[..., 0, :])


def _root(d_attn: int, like: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.asarray(d_attn, like.dtype))


def _attention_requires(
    X, Z, params, mask, attending=AS_PRINTED, t_x=None, t_z=None, W_r=None, function="attention", path="params"
):
    X, Z = as_arrays(function, X=X, Z=Z)
    params = _head(function, path, params)
    if not isinstance(attending, Attending):
        raise TypeError(f"{function}: attending is a {type(attending).__name__}, expected Attending")
    stack = " ".join(["H", *(f"H_{i}" for i in range(2, params.W_q.ndim - 1))][: params.W_q.ndim - 2])
    H, H_kv = params.W_q.shape[0], params.W_k.shape[0]
    grouped = params.W_q.ndim == params.W_k.ndim == 3 and H_kv and not H % H_kv
    shared = "H_kv" if grouped else stack
    sizes = require_shapes(
        function,
        X=(X, "... l_x d_x"),
        Z=(Z, "... l_z d_z"),
        **_axes(
            params,
            path,
            W_q=f"{stack} d_attn d_x",
            b_q=f"{stack} d_attn",
            W_k=f"{shared} d_attn d_z",
            b_k=f"{shared} d_attn",
            W_v=f"{shared} d_out d_z",
            b_v=f"{shared} d_out",
        ),
    )
    require_floats(function, X=X, Z=Z)
    require_at_least_one(function, X=sizes["l_x"], Z=sizes["l_z"])
    mask = masks.as_mask(mask, function=function)
    _require_mask(function, mask, X.shape, Z.shape)
    canonical = {"X": jnp.asarray(X), "Z": jnp.asarray(Z), "params": params, "mask": mask}
    canonical |= {name: jnp.asarray(given) for name, given in (("t_x", t_x), ("t_z", t_z)) if given is not None}
    return canonical


def _require_mask(function: str, mask: masks.Mask, X: tuple[int, ...], Z: tuple[int, ...]) -> None:
    """The batches of X, of Z and of the mask fit, and every query has a key: a row all false has no softmax (E29)."""
    if 0 in (*X[:-2], *Z[:-2]):
        raise ValueError(f"{function}: X has shape {X} and Z {Z}, expected at least one sequence")
    if mask.predicate in (masks.full.predicate, masks.causal.predicate):
        require_batch(function, X=X[:-2], Z=Z[:-2])
        return  # the paper's two masks: every query sees the first key
    table = masks.dense(mask, X[-2], Z[-2], function=function)
    require_batch(function, mask=table.shape[:-2], X=X[:-2], Z=Z[:-2])
    if is_concrete(table):
        empty = ~np.asarray(table).any(axis=-1)
        if empty.any():
            index = [int(i) for i in np.argwhere(empty)[0]]
            raise ValueError(
                f"{function}: the mask lets query {index[-1]} attend to nothing (row {index} is all false)"
            )


@algorithm(_attention_requires, static=("attending",))
def attention(
    X: Float[Array, "*#batch l_x d_x"],
    Z: Float[Array, "*#batch l_z d_z"],
    params: AttentionParameters,
    mask: masks.MaskLike = masks.full,
    attending: Attending = AS_PRINTED,
    t_x: Int[Array, "*#batch l_x"] | None = None,
    t_z: Int[Array, "*#batch l_z"] | None = None,
    W_r: Float[Array, "rows H"] | None = None,
) -> Float[Array, "*batch_and_heads l_x d_out"]:
    """Algorithm 4: every token of `X` attends to the tokens of `Z` that `mask` lets it see.

    Args:
      X: (..., ℓ_x, d_x) primary sequence, the one that asks.
      Z: (..., ℓ_z, d_z) context sequence, the one that answers.
      params: `AttentionParameters`: `W_q` (d_attn, d_x), `W_k` (d_attn, d_z), `W_v` (d_out, d_z) and their biases.
        Heads stacked on leading axes are computed together.
      mask: predicate of (t_x, t_z), or a boolean array (..., ℓ_x, ℓ_z), true where t_x may attend to t_z.
      attending: `Attending`, the variations; by default none.
      t_x, t_z: (..., ℓ_x) and (..., ℓ_z) positions, for variations that know them; 0, 1, 2, … unless given.
      W_r: (rows, H) the table of a learned score.
    Returns:
      (..., ℓ_x, d_out), or (..., *heads, ℓ_x, d_out); nan for a query that a traced mask lets attend to nothing.
    Raises:
      ValueError: if sizes differ, a sequence is empty, or a concrete mask leaves a query nothing to attend to.
      TypeError: if the mask is not boolean.
    """
    Q = line(1, "Q", attending.turned(affine(X, params.W_q, params.b_q), params.gamma_q, t_x))
    K = line(2, "K", attending.turned(affine(Z, params.W_k, params.b_k), params.gamma_k, t_z))
    V = line(3, "V", affine(Z, params.W_v, params.b_v))
    table = masks.dense(mask, X.shape[-2], Z.shape[-2])
    return answer(Q, K, V, masks.for_heads(table, params.W_q.ndim - 2), attending, t_x, t_z, W_r)


def answer(
    Q: Float[Array, "*#batch l_x d_attn"],
    K: Float[Array, "*#batch_kv l_z d_attn"],
    V: Float[Array, "*#batch_kv l_z d_out"],
    mask: Bool[Array, "*mask l_x l_z"],
    attending: Attending = AS_PRINTED,
    t_x: Int[Array, "*some l_x"] | None = None,
    t_z: Int[Array, "*some_z l_z"] | None = None,
    W_r: Float[Array, "rows H"] | None = None,
) -> Float[Array, "*batch l_x d_out"]:
    """Lines 4 to 6 of Algorithm 4, for queries, keys and values that are already there.

    Args:
      Q: (..., ℓ_x, d_attn). K: (..., ℓ_z, d_attn). V: (..., ℓ_z, d_out). mask: boolean (..., ℓ_x, ℓ_z).
      attending, t_x, t_z, W_r: as `attention`.
    """
    S = line(4, "S", by_groups(Q, K.mT))
    A = attending.weights(S, mask, Q.shape[-1], t_x, t_z, W_r)
    return line(6, "V_tilde", by_groups(A, V))


def by_groups(A: jax.Array, B: jax.Array) -> jax.Array:
    """A @ B by head, where H/H_kv consecutive heads of A (..., H, ·, ·) go with each of B (..., H_kv, ·, ·)."""
    if A.ndim < 3 or B.ndim < 3 or A.shape[-3] == B.shape[-3]:
        return A @ B
    *batch, H, rows, inner = A.shape
    # The rows of a group's heads stand below each other: one product for each key head, and no copy of keys.
    grouped = A.reshape(*batch, B.shape[-3], H // B.shape[-3] * rows, inner) @ B
    return grouped.reshape(*grouped.shape[:-3], H, rows, B.shape[-1])


def _mh_attention_requires(X, Z, params, mask, attending=AS_PRINTED, t_x=None, t_z=None, W_r=None):
    name = "mh_attention"
    require_kind(name, "params", params, MHAttentionParameters, made_by="init_mh_attention")
    canonical = _attention_requires(
        X, Z, params.heads, mask, attending, t_x, t_z, W_r, function=name, path="params.heads"
    )
    heads = canonical["params"]
    if heads.W_q.ndim != 3:
        raise ValueError(
            f"{name}: params.heads.W_q has shape {heads.W_q.shape}, expected (H, d_attn, d_x): heads are stacked on a "
            "leading axis"
        )
    as_arrays(name, **{"params.W_o": params.W_o})
    params = require_fields(name, "params", params.replace(heads=heads), may_lack=True)
    H, d_mid = heads.W_q.shape[0], heads.W_v.shape[1]
    sizes = require_shapes(name, **_axes(params, W_o="d_out H·d_mid", b_o="d_out"))
    if sizes["H·d_mid"] != H * d_mid:
        raise ValueError(
            f"{name}: params.W_o has shape {params.W_o.shape}, expected (d_out, H·d_mid) with H·d_mid = "
            f"{H} × {d_mid} = {H * d_mid}, which params.heads.W_v of shape {heads.W_v.shape} gives it"
        )
    return canonical | {"params": params}


@algorithm(_mh_attention_requires, static=("attending",))
def mh_attention(
    X: Float[Array, "*#batch l_x d_x"],
    Z: Float[Array, "*#batch l_z d_z"],
    params: MHAttentionParameters,
    mask: masks.MaskLike = masks.full,
    attending: Attending = AS_PRINTED,
    t_x: Int[Array, "*#batch l_x"] | None = None,
    t_z: Int[Array, "*#batch l_z"] | None = None,
    W_r: Float[Array, "rows H"] | None = None,
) -> Float[Array, "*batch l_x d_out"]:
    """Algorithm 5: several heads of Algorithm 4, stacked and mixed.

    Args:
      X: (..., ℓ_x, d_x) primary sequence.
      Z: (..., ℓ_z, d_z) context sequence.
      params: `MHAttentionParameters`.
      mask: predicate of (t_x, t_z), or a boolean array (..., ℓ_x, ℓ_z); the same for all heads.
      attending, t_x, t_z, W_r: as `attention`.
    Returns:
      (..., ℓ_x, d_out).
    Raises:
      ValueError, TypeError: as `attention`.
    """
    with stacked("heads", axis=-3):
        Y_h = line(2, "Y_h", attention(X, Z, params.heads, mask, attending, t_x, t_z, W_r))
    return join_heads(Y_h, params, attending)


def join_heads(
    Y_h: Float[Array, "*batch H l_x d_mid"], params: MHAttentionParameters, attending: Attending = AS_PRINTED
) -> Float[Array, "*batch l_x d_out"]:
    """Lines 3 and 4 of Algorithm 5: the heads' answers (..., H, ℓ_x, d_mid), stacked and mixed."""
    Y = jnp.moveaxis(Y_h, -3, -2)
    Y = line(3, "Y", Y.reshape(*Y.shape[:-2], -1))
    if attending.inner is not None:
        Y = attending.inner(Y, params.gamma, params.beta)
    return line(4, "V_tilde", affine(Y, params.W_o, params.b_o))
