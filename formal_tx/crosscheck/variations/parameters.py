"""The library's parameters of any variation as the pseudocode of `algorithms/variations/` takes them.

A bias that is None is 0 there, a scale 1, a table 0: what a model lacks changes nothing.
"""

from operator import itemgetter
from typing import Any

import jax
import numpy as np

from ...hyperparameters import learned
from .. import pseudocode

Theta = Any
"""The pseudocode's `Parameters`."""


def _made(**fields: Any) -> Theta:
    return pseudocode.module("notation").Parameters(**fields)


def _array(value: Any, otherwise: float, *shape: int) -> np.ndarray:
    """`value`, or where there is none an array of this shape that changes nothing."""
    return np.full(shape, otherwise) if value is None else np.array(value, dtype=float)


def norm_of(gamma: Any, beta: Any) -> Theta | None:
    """A norm's γ and β; None where there is no norm."""
    return None if gamma is None else _made(gamma=_array(gamma, 1), beta=_array(beta, 0, len(gamma)))


def _layers(stacked: Any, L: int) -> list[Any]:
    """The layers, or heads, that are stacked on a leading axis."""
    return [jax.tree.map(itemgetter(i), stacked) for i in range(L)]


def attention(W: Any) -> Theta:
    """`MHAttentionParameters` of one layer, grouped or not."""
    heads = W.heads
    (H, d_attn, _), (H_kv, d_mid, _) = heads.W_q.shape, heads.W_v.shape
    queries = [_made(W_q=heads.W_q[h], b_q=_array(heads.b_q, 0, H, d_attn)[h]) for h in range(H)]
    keys_and_values = [
        _made(
            W_k=heads.W_k[g],
            b_k=_array(heads.b_k, 0, H_kv, d_attn)[g],
            W_v=heads.W_v[g],
            b_v=_array(heads.b_v, 0, H_kv, d_mid)[g],
        )
        for g in range(H_kv)
    ]
    return _made(
        queries=queries,
        keys_and_values=keys_and_values,
        gamma_q=heads.gamma_q,
        gamma_k=heads.gamma_k,
        W_o=W.W_o,
        b_o=_array(W.b_o, 0, len(W.W_o)),
        norm=norm_of(W.gamma, W.beta),
    )


def mlp(W: Any) -> Theta:
    """`MLPParameters` of one layer, gated or not."""
    (d_mlp, d_e) = W.W_in.shape
    gate = {} if W.W_gate is None else {"W_g": W.W_gate, "b_g": _array(W.b_gate, 0, d_mlp)}
    return _made(
        W_1=W.W_in,
        b_1=_array(W.b_in, 0, d_mlp),
        W_2=W.W_out,
        b_2=_array(W.b_out, 0, d_e),
        norm=norm_of(W.gamma, W.beta),
        **gate,
    )


def _around(W: Any, n: int, d_e: int) -> Theta:
    """The norms around the n-th sub-layer of a layer, and its scale."""
    branch = getattr(W, f"branch_{n}")
    after = None if branch is None else norm_of(branch.gamma, branch.beta)
    scale = _array(None if branch is None else branch.scale, 1, d_e)
    return _made(norm=norm_of(getattr(W, f"gamma_{n}"), getattr(W, f"beta_{n}")), norm_after=after, scale=scale)


def _layer(W: Any, d_e: int) -> Theta:
    around = {f"around_{n}": _around(W, n, d_e) for n in (1, 2)}
    return _made(attention=attention(W.attention), mlp=mlp(W.mlp), **around)


def _decoder_layer(W: Any, d_e: int) -> Theta:
    around = {f"around_{n}": _around(W, n, d_e) for n in (3, 4, 5)}
    attentions = {name: attention(getattr(W, name)) for name in ("self_attention", "cross_attention")}
    return _made(mlp=mlp(W.mlp), **attentions, **around)


def _table(hp: Any, W_p: Any, computed: Any, l_max: int) -> np.ndarray:
    """W_p by columns: learned, computed by the pseudocode, or 0."""
    if hp.table is learned:
        return np.array(W_p, dtype=float).T
    return np.zeros((hp.d_e, l_max)) if computed is None else computed(hp.d_e, l_max)


def _unembedding(params: Any) -> dict[str, np.ndarray]:
    W_u = params.W_e if params.W_u is None else params.W_u
    return {"W_u": np.array(W_u), "b_u": _array(params.b_u, 0, len(W_u))}


def d_theta(params: Any, hp: Any, table: Any) -> Theta:
    """θ of a decoder; `table` is the pseudocode's positional table (d_e, l_max) -> W_p, if it is computed."""
    return _made(
        W_e=params.W_e.T,
        W_p=_table(hp, params.W_p, table, hp.l_max),
        layers=[_layer(W, hp.d_e) for W in _layers(params.layers, hp.L)],
        norm_e=norm_of(params.gamma_e, params.beta_e),
        norm=norm_of(params.gamma, params.beta),
        **_unembedding(params),
    )


def e_theta(params: Any, hp: Any, table: Any) -> Theta:
    """θ of an encoder with a head."""
    return _made(
        W_e=params.W_e.T,
        W_p=_table(hp, params.W_p, table, hp.l_max),
        W_s=_array(params.W_s, 0, 1, hp.d_e).T,
        layers=[_layer(W, hp.d_e) for W in _layers(params.layers, hp.L)],
        norm_e=norm_of(params.gamma_e, params.beta_e),
        norm_x=norm_of(params.gamma_x, params.beta_x),
        W_f=params.W_f,
        b_f=_array(params.b_f, 0, hp.d_f),
        norm=norm_of(params.gamma, params.beta),
        **_unembedding(params),
    )


def ed_theta(params: Any, hp: Any, table: Any) -> Theta:
    """θ of an encoder-decoder."""
    W_pz = params.W_p if params.W_pz is None else params.W_pz
    return _made(
        W_ez=(params.W_e if params.W_ez is None else params.W_ez).T,
        W_e=params.W_e.T,
        W_pz=_table(hp, W_pz, table, hp.l_max_z or hp.l_max),
        W_p=_table(hp, params.W_p, table, hp.l_max),
        encoder=[_layer(W, hp.d_e) for W in _layers(params.encoder, hp.L_enc)],
        decoder=[_decoder_layer(W, hp.d_e) for W in _layers(params.decoder, hp.L_dec)],
        **{f"norm_{s}": norm_of(getattr(params, f"gamma_{s}"), getattr(params, f"beta_{s}")) for s in _ED_NORMS},
        **_unembedding(params),
    )


_ED_NORMS = ("ez", "ex", "z", "x")
