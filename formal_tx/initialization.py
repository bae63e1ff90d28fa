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
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
    Hyperparameters,
)
from .parameters import (
    AttentionParameters,
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


def _attention(d_x: int, d_z: int, d_attn: int, d_out: int) -> Any:
    return AttentionParameters(
        W_q=_matrix(d_attn, d_x),
        b_q=_zeros(d_attn),
        W_k=_matrix(d_attn, d_z),
        b_k=_zeros(d_attn),
        W_v=_matrix(d_out, d_z),
        b_v=_zeros(d_out),
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
    return _mh_attention(hp.d_e, hp.d_e, hp.d_attn, hp.d_mid, hp.d_e, hp.H, shrink)


def _layer(hp: Hyperparameters, shrink: float) -> Any:
    return LayerParameters(
        attention=_self_attention(hp, shrink),
        gamma_1=_ones(hp.d_e),
        beta_1=_zeros(hp.d_e),
        W_mlp1=_matrix(hp.d_mlp, hp.d_e),
        b_mlp1=_zeros(hp.d_mlp),
        W_mlp2=_matrix(hp.d_e, hp.d_mlp, shrink),
        b_mlp2=_zeros(hp.d_e),
        gamma_2=_ones(hp.d_e),
        beta_2=_zeros(hp.d_e),
    )


def _decoder_layer(hp: Hyperparameters, shrink: float) -> Any:
    return DecoderLayerParameters(
        self_attention=_self_attention(hp, shrink),
        gamma_3=_ones(hp.d_e),
        beta_3=_zeros(hp.d_e),
        cross_attention=_self_attention(hp, shrink),
        gamma_4=_ones(hp.d_e),
        beta_4=_zeros(hp.d_e),
        W_mlp3=_matrix(hp.d_mlp, hp.d_e),
        b_mlp3=_zeros(hp.d_mlp),
        W_mlp4=_matrix(hp.d_e, hp.d_mlp, shrink),
        b_mlp4=_zeros(hp.d_e),
        gamma_5=_ones(hp.d_e),
        beta_5=_zeros(hp.d_e),
    )


def _shrink(sublayers: int) -> float:
    return max(sublayers, 1) ** -0.5


def _tables(hp: Hyperparameters, scale: float, d_u: int) -> dict[str, Any]:
    """The two embedding tables, and W_u (N_V, d_u) unless embeddings are tied."""
    return {
        "W_e": _Start((hp.N_V, hp.d_e), scale),
        "W_p": _Start((hp.l_max, hp.d_e), scale),
        "W_u": None if hp.tied_embeddings else _Start((hp.N_V, d_u), 0.02),
    }


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
        gamma=_ones(hp.d_e),
        beta=_zeros(hp.d_e),
        **_tables(hp, 0.02, hp.d_e),
    )
    return _initialise(key, tree)


def init_e_transformer(key: PRNGKeyArray, hyperparameters: ETransformerHyperparameters) -> ETransformerParameters:
    """Random parameters of Algorithm 9."""
    hp = hyperparameters
    assert hp.d_f is not None  # set when the hyperparameters were made
    tree = ETransformerParameters(
        layers=_stack(_layer(hp, _shrink(2 * hp.L)), hp.L),
        W_f=_matrix(hp.d_f, hp.d_e),
        b_f=_zeros(hp.d_f),
        gamma=_ones(hp.d_f),
        beta=_zeros(hp.d_f),
        **_tables(hp, _post_norm_scale(hp), hp.d_f),
    )
    return _initialise(key, tree)


def init_ed_transformer(key: PRNGKeyArray, hyperparameters: EDTransformerHyperparameters) -> EDTransformerParameters:
    """Random parameters of Algorithm 8."""
    hp = hyperparameters
    tree = EDTransformerParameters(
        encoder=_stack(_layer(hp, _shrink(2 * hp.L_enc)), hp.L_enc),
        decoder=_stack(_decoder_layer(hp, _shrink(3 * hp.L_dec)), hp.L_dec),
        **_tables(hp, _post_norm_scale(hp), hp.d_e),
    )
    return _initialise(key, tree)
