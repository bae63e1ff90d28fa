"""Algorithms 3, 4 and 5: attention with one query, with many, and with many heads."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from . import mask_blocks, masks
from .attend import attend
from .attending import AS_PRINTED, Attending, root
from .contracts import algorithm, is_concrete
from .linear import affine
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


def _axes(params: Any, path: str = "params", **axes: str) -> dict[str, tuple[Any, str]]:
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
    alpha = line(4, "alpha", jax.nn.softmax((k @ q[..., None])[..., 0] / root(q.shape[-1], q), axis=-1))
    return line(5, "v_tilde", (alpha[..., None, :] @ v)[..., 0, :])


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
    table = jax.eval_shape(lambda mask: masks.dense(mask, X[-2], Z[-2], function=function), mask)
    require_batch(function, mask=table.shape[:-2], X=X[:-2], Z=Z[:-2])
    seen = mask_blocks.sees(mask, X[-2], Z[-2])
    if is_concrete(seen):
        empty = ~np.asarray(seen)
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
    return attend(Q, K, V, mask, attending, t_x, t_z, W_r, heads=params.W_q.ndim - 2)


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
