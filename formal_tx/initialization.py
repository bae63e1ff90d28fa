"""Random parameters to start from. The paper has no rule; this is one.

A matrix W (d_out, d_in) starts as N(0, 1/d_in), the matrices that write to the residual stream divided further by the
root of their number (as in GPT-2), W_u as N(0, 0.02²), biases and β at 0, γ at 1. The tables W_e and W_p start as
N(0, 0.02²) in Algorithm 10, whose layers normalise what they read, and as N(0, 1) in Algorithms 8 and 9, whose first
attention reads them as they are (N(0, 1/d_e) with tied embeddings, which makes logits of them too).
"""

from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .hyperparameters import (
    Biases,
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
    Hyperparameters,
    learned,
)
from .normalization import rms_norm_about_one
from .parameters import (
    AttentionParameters,
    BranchParameters,
    DecoderLayerParameters,
    DTransformerParameters,
    EDTransformerParameters,
    ETransformerParameters,
    LayerParameters,
    MHAttentionParameters,
)


@dataclass(frozen=True)
class _Start:
    """How an array starts: N(mean, scale²) for each of its entries."""

    shape: tuple[int, ...]
    scale: float = 0.0
    mean: float = 0.0


def _matrix(d_out: int, d_in: int, shrink: float = 1.0) -> Any:
    return _Start((d_out, d_in), shrink / d_in**0.5)


def _zeros(*shape: int) -> Any:
    return _Start(shape)


def _ones(*shape: int) -> Any:
    return _Start(shape, mean=1.0)


def _stack(tree: Any, n: int) -> Any:
    """`n` of them, on a leading axis."""
    return jax.tree.map(lambda start: replace(start, shape=(n, *start.shape)), tree)


@partial(jax.jit, static_argnames=("treedef", "starts"))
def _draw(key: PRNGKeyArray, treedef: Any, starts: tuple[_Start, ...]) -> Any:
    """All arrays of a pytree from one draw: a draw for each would take XLA seconds to compile."""
    sizes = [prod(start.shape) if start.scale else 0 for start in starts]
    parts = jnp.split(jax.random.normal(key, (sum(sizes),)), np.cumsum(sizes)[:-1])
    arrays = [
        start.mean + start.scale * part.reshape(start.shape)
        if start.scale
        else jnp.full(start.shape, start.mean, part.dtype)  # a type of its own, or what it meets is compiled twice
        for start, part in zip(starts, parts, strict=True)
    ]
    return jax.tree.unflatten(treedef, arrays)


def _initialise(key: PRNGKeyArray, tree: Any) -> Any:
    starts, treedef = jax.tree.flatten(tree)
    return _draw(key, treedef, tuple(starts))


def _biased(has: bool, *shape: int) -> Any:
    return _zeros(*shape) if has else None


def _gains(hp: Hyperparameters, n: int, has: bool = True, of: str = "") -> dict[str, Any]:
    """γ and β of a norm over `n` features, as keyword arguments `gamma…`, `beta…`; None where it does not stand."""
    one = 0.0 if hp.norm is rms_norm_about_one else 1.0
    gamma = _Start((n,), mean=one) if has else None
    return {f"gamma{of}": gamma, f"beta{of}": _biased(has and hp.biases.norm, n)}


def _attention(d_x: int, d_z: int, d_attn: int, d_out: int, biases: Biases = Biases()) -> Any:  # noqa: B008
    return AttentionParameters(
        W_q=_matrix(d_attn, d_x),
        b_q=_biased(biases.q, d_attn),
        W_k=_matrix(d_attn, d_z),
        b_k=_biased(biases.k, d_attn),
        W_v=_matrix(d_out, d_z),
        b_v=_biased(biases.v, d_out),
    )


def _mh_attention(d_x: int, d_z: int, d_attn: int, d_mid: int, d_out: int, H: int, shrink: float = 1.0) -> Any:
    return MHAttentionParameters(
        heads=_stack(_attention(d_x, d_z, d_attn, d_mid), H),
        W_o=_matrix(d_out, H * d_mid, shrink),
        b_o=_zeros(d_out),
    )


def _self_attention(hp: Hyperparameters, shrink: float) -> Any:
    assert hp.d_attn is not None  # set when the hyperparameters were made
    assert hp.d_mid is not None
    head = _attention(hp.d_e, hp.d_e, hp.d_attn, hp.d_mid, hp.biases)
    queries = {name: _stack(getattr(head, name), hp.H) for name in ("W_q", "b_q")}
    shared = {name: _stack(getattr(head, name), hp.key_value_heads) for name in ("W_k", "b_k", "W_v", "b_v")}
    gammas = {}
    if hp.normalise_qk is not None:
        all_heads = getattr(hp.normalise_qk, "all_heads", False)
        gammas = {
            name: _ones(*((H,) if all_heads else ()), hp.d_attn)
            for name, H in (("gamma_q", hp.H), ("gamma_k", hp.key_value_heads))
        }
    return MHAttentionParameters(
        heads=AttentionParameters(**queries, **shared, **gammas),
        W_o=_matrix(hp.d_e, hp.H * hp.d_mid, shrink),
        b_o=_biased(hp.biases.o, hp.d_e),
        **_gains(hp, hp.H * hp.d_mid, hp.placement.inner),
    )


def _branch(hp: Hyperparameters) -> Any:
    if not (hp.placement.branch or hp.layer_scale):
        return None
    scale = _ones(hp.d_e) if hp.layer_scale else None
    return BranchParameters(**_gains(hp, hp.d_e, hp.placement.branch), scale=scale)


def _mlp(hp: Hyperparameters, shrink: float, first: int) -> dict[str, Any]:
    """The matrices of an MLP, of which the first is called W_mlp1, or W_mlp3."""
    return {
        f"W_mlp{first}": _matrix(hp.d_mlp, hp.d_e),
        f"b_mlp{first}": _biased(hp.biases.mlp, hp.d_mlp),
        f"W_mlp{first + 1}": _matrix(hp.d_e, hp.d_mlp, shrink),
        f"b_mlp{first + 1}": _biased(hp.biases.mlp, hp.d_e),
        "W_gate": _matrix(hp.d_mlp, hp.d_e) if hp.gated else None,
        "b_gate": _biased(hp.gated and hp.biases.mlp, hp.d_mlp),
        **_gains(hp, hp.d_mlp, hp.placement.inner, of="_mlp"),
    }


def _layer(hp: Hyperparameters, shrink: float) -> Any:
    return LayerParameters(
        attention=_self_attention(hp, shrink),
        **_gains(hp, hp.d_e, hp.placement.has_norms, of="_1"),
        **_mlp(hp, shrink, 1),
        **_gains(hp, hp.d_e, hp.placement.has_norms and not hp.placement.one_norm, of="_2"),
        branch_1=_branch(hp),
        branch_2=_branch(hp),
    )


def _decoder_layer(hp: Hyperparameters, shrink: float) -> Any:
    return DecoderLayerParameters(
        self_attention=_self_attention(hp, shrink),
        **_gains(hp, hp.d_e, hp.placement.has_norms, of="_3"),
        cross_attention=_self_attention(hp, shrink),
        **_gains(hp, hp.d_e, hp.placement.has_norms, of="_4"),
        **_mlp(hp, shrink, 3),
        **_gains(hp, hp.d_e, hp.placement.has_norms, of="_5"),
        branch_3=_branch(hp),
        branch_4=_branch(hp),
        branch_5=_branch(hp),
    )


def _shrink(sublayers: int) -> float:
    return max(sublayers, 1) ** -0.5


def _tables(hp: Hyperparameters, scale: float, d_u: int) -> dict[str, Any]:
    """The two embedding tables, W_u (N_V, d_u) unless embeddings are tied, and b_u, where there are any of them."""
    has_logits = getattr(hp, "head", True)
    return {
        "W_e": _Start((hp.N_V, hp.d_e), scale) if hp.N_V else None,
        "W_p": _Start((hp.l_max, hp.d_e), scale) if hp.table is learned else None,
        "W_u": _Start((hp.N_V, d_u), 0.02) if has_logits and not hp.tied_embeddings else None,
        "b_u": _biased(has_logits and hp.biases.u, hp.N_V),
    }


def _table(rows: int | None, hp: Hyperparameters, scale: float) -> Any:
    """A table (rows, d_e), or none without rows."""
    return _Start((rows, hp.d_e), scale) if rows else None


def _score_table(hp: Hyperparameters, score: Any) -> Any:
    rows = hp.rows_of(score)
    return _Start((rows, hp.H), 0.02) if rows else None


def _post_norm_scale(hp: Hyperparameters) -> float:
    return hp.d_e**-0.5 if hp.tied_embeddings else 1.0


def init_attention(key: PRNGKeyArray, *, d_x: int, d_z: int, d_attn: int, d_out: int) -> AttentionParameters:
    """Random parameters of one head of Algorithm 4."""
    return _initialise(key, _attention(d_x, d_z, d_attn, d_out))


def init_mh_attention(
    key: PRNGKeyArray, *, d_x: int, d_z: int, d_attn: int, d_mid: int, d_out: int, H: int
) -> MHAttentionParameters:
    """Random parameters of Algorithm 5."""
    return _initialise(key, _mh_attention(d_x, d_z, d_attn, d_mid, d_out, H))


def init_d_transformer(key: PRNGKeyArray, hyperparameters: DTransformerHyperparameters) -> DTransformerParameters:
    """Random parameters of Algorithm 10."""
    hp = hyperparameters
    tree = DTransformerParameters(
        layers=_stack(_layer(hp, _shrink(2 * hp.L)), hp.L),
        **_gains(hp, hp.d_e, hp.final_norm),
        **_tables(hp, 0.02, hp.d_e),
        **_gains(hp, hp.d_e, hp.embedding_norm, of="_e"),
        W_r=_score_table(hp, hp.score),
    )
    return _initialise(key, tree)


def init_e_transformer(key: PRNGKeyArray, hyperparameters: ETransformerHyperparameters) -> ETransformerParameters:
    """Random parameters of Algorithm 9."""
    hp = hyperparameters
    assert hp.d_f is not None  # set when the hyperparameters were made
    tree = ETransformerParameters(
        layers=_stack(_layer(hp, _shrink(2 * hp.L)), hp.L),
        W_f=_matrix(hp.d_f, hp.d_e) if hp.head else None,
        b_f=_biased(hp.head and hp.biases.mlp, hp.d_f),
        **_gains(hp, hp.d_f, hp.head),
        **_tables(hp, _post_norm_scale(hp), hp.d_f),
        **_gains(hp, hp.d_e, hp.embedding_norm, of="_e"),
        W_r=_score_table(hp, hp.score),
        W_s=_table(hp.N_S, hp, _post_norm_scale(hp)),
        **_gains(hp, hp.d_e, hp.final_norm, of="_x"),
    )
    return _initialise(key, tree)


def init_ed_transformer(key: PRNGKeyArray, hyperparameters: EDTransformerHyperparameters) -> EDTransformerParameters:
    """Random parameters of Algorithm 8."""
    hp = hyperparameters
    tree = EDTransformerParameters(
        encoder=_stack(_layer(hp, _shrink(2 * hp.L_enc)), hp.L_enc),
        decoder=_stack(_decoder_layer(hp, _shrink(3 * hp.L_dec)), hp.L_dec),
        **_tables(hp, _post_norm_scale(hp), hp.d_e),
        W_pz=_table(hp.l_max_z if hp.table is learned else None, hp, _post_norm_scale(hp)),
        **_gains(hp, hp.d_e, hp.embedding_norm, of="_ez"),
        **_gains(hp, hp.d_e, hp.embedding_norm, of="_ex"),
        **_gains(hp, hp.d_e, hp.final_norm, of="_z"),
        **_gains(hp, hp.d_e, hp.final_norm, of="_x"),
        W_rz=_score_table(hp, hp.score),
        W_rx=_score_table(hp, hp.decoder_score or hp.score),
        W_ez=_table(hp.N_V_z, hp, _post_norm_scale(hp)),
    )
    return _initialise(key, tree)
