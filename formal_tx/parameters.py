"""The parameter pytrees, fields named as in the paper, and their initialisation.

Heads are stacked on a leading axis `H`, layers on a leading axis `L`. The paper has no rule of initialisation; here a
matrix W (d_out, d_in) starts as N(0, 1/d_in), the matrices that write to the residual stream divided further by the
root of their number (as in GPT-2), W_u as N(0, 0.02²), biases and β at 0, γ at 1. The tables W_e and W_p start as
N(0, 0.02²) in Algorithm 10, whose layers normalise what they read, and as N(0, 1) in Algorithms 8 and 9, whose first
attention reads them as they are (N(0, 1/d_e) with tied embeddings, which makes logits of them too).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from .hyperparameters import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
    Hyperparameters,
)

Array = jax.Array


@struct.dataclass
class AttentionParameters:
    """One head of Algorithm 4: `W_q` (d_attn, d_x), `W_k` (d_attn, d_z), `W_v` (d_out, d_z) and their biases."""

    W_q: Array
    b_q: Array
    W_k: Array
    b_k: Array
    W_v: Array
    b_v: Array


@struct.dataclass
class MHAttentionParameters:
    """Algorithm 5, eq. (4): `heads` stacked on a leading axis H; `W_o` (d_out, H·d_mid), `b_o` (d_out,)."""

    heads: AttentionParameters
    W_o: Array
    b_o: Array


@struct.dataclass
class LayerParameters:
    """A layer of Algorithms 9 and 10, and of the encoder of Algorithm 8; stacked on a leading axis L."""

    attention: MHAttentionParameters
    gamma_1: Array
    beta_1: Array
    W_mlp1: Array
    b_mlp1: Array
    W_mlp2: Array
    b_mlp2: Array
    gamma_2: Array
    beta_2: Array


@struct.dataclass
class DecoderLayerParameters:
    """A layer of the decoder of Algorithm 8; stacked on a leading axis L_dec."""

    self_attention: MHAttentionParameters
    gamma_3: Array
    beta_3: Array
    cross_attention: MHAttentionParameters
    gamma_4: Array
    beta_4: Array
    W_mlp3: Array
    b_mlp3: Array
    W_mlp4: Array
    b_mlp4: Array
    gamma_5: Array
    beta_5: Array


@struct.dataclass
class DTransformerParameters:
    """θ of Algorithm 10: `W_e` (N_V, d_e), `W_p` (l_max, d_e), `layers`, the final norm, `W_u` (N_V, d_e)."""

    W_e: Array
    W_p: Array
    layers: LayerParameters
    gamma: Array
    beta: Array
    W_u: Array | None


@struct.dataclass
class ETransformerParameters:
    """θ of Algorithm 9: as Algorithm 10's, and `W_f` (d_f, d_e), `b_f`; the final norm and `W_u` have width d_f."""

    W_e: Array
    W_p: Array
    layers: LayerParameters
    W_f: Array
    b_f: Array
    gamma: Array
    beta: Array
    W_u: Array | None


@struct.dataclass
class EDTransformerParameters:
    """θ of Algorithm 8: one `W_e` (N_V, d_e) and one `W_p` (l_max, d_e) for both sequences, and no final norm."""

    W_e: Array
    W_p: Array
    encoder: LayerParameters
    decoder: DecoderLayerParameters
    W_u: Array | None


def _matrix(key: Array, d_out: int, d_in: int, shrink: float = 1.0) -> Array:
    return jax.random.normal(key, (d_out, d_in)) * (shrink / d_in**0.5)


def _table(key: Array, rows: int, width: int, scale: float = 0.02) -> Array:
    return jax.random.normal(key, (rows, width)) * scale


def _post_norm_scale(hp: Hyperparameters) -> float:
    return hp.d_e**-0.5 if hp.tied_embeddings else 1.0


def _stack(init: Callable[[Array], Any], key: Array, n: int) -> Any:
    return jax.vmap(init)(jax.random.split(key, n))


def init_attention(key: Array, *, d_x: int, d_z: int, d_attn: int, d_out: int) -> AttentionParameters:
    """Parameters of one head of Algorithm 4."""
    key_q, key_k, key_v = jax.random.split(key, 3)
    return AttentionParameters(
        W_q=_matrix(key_q, d_attn, d_x),
        b_q=jnp.zeros(d_attn),
        W_k=_matrix(key_k, d_attn, d_z),
        b_k=jnp.zeros(d_attn),
        W_v=_matrix(key_v, d_out, d_z),
        b_v=jnp.zeros(d_out),
    )


def init_mh_attention(
    key: Array, *, d_x: int, d_z: int, d_attn: int, d_mid: int, d_out: int, H: int, shrink: float = 1.0
) -> MHAttentionParameters:
    """Parameters of Algorithm 5; `W_o` is multiplied by `shrink`."""
    key_heads, key_o = jax.random.split(key)
    return MHAttentionParameters(
        heads=_stack(lambda k: init_attention(k, d_x=d_x, d_z=d_z, d_attn=d_attn, d_out=d_mid), key_heads, H),
        W_o=_matrix(key_o, d_out, H * d_mid, shrink),
        b_o=jnp.zeros(d_out),
    )


def _init_attention_of(key: Array, hp: Hyperparameters, shrink: float) -> MHAttentionParameters:
    assert hp.d_attn is not None  # set when the hyperparameters were made
    assert hp.d_mid is not None
    return init_mh_attention(
        key, d_x=hp.d_e, d_z=hp.d_e, d_attn=hp.d_attn, d_mid=hp.d_mid, d_out=hp.d_e, H=hp.H, shrink=shrink
    )


def _init_layer(key: Array, hp: Hyperparameters, shrink: float) -> LayerParameters:
    key_attention, key_1, key_2 = jax.random.split(key, 3)
    return LayerParameters(
        attention=_init_attention_of(key_attention, hp, shrink),
        gamma_1=jnp.ones(hp.d_e),
        beta_1=jnp.zeros(hp.d_e),
        W_mlp1=_matrix(key_1, hp.d_mlp, hp.d_e),
        b_mlp1=jnp.zeros(hp.d_mlp),
        W_mlp2=_matrix(key_2, hp.d_e, hp.d_mlp, shrink),
        b_mlp2=jnp.zeros(hp.d_e),
        gamma_2=jnp.ones(hp.d_e),
        beta_2=jnp.zeros(hp.d_e),
    )


def _init_decoder_layer(key: Array, hp: Hyperparameters, shrink: float) -> DecoderLayerParameters:
    key_self, key_cross, key_3, key_4 = jax.random.split(key, 4)
    return DecoderLayerParameters(
        self_attention=_init_attention_of(key_self, hp, shrink),
        gamma_3=jnp.ones(hp.d_e),
        beta_3=jnp.zeros(hp.d_e),
        cross_attention=_init_attention_of(key_cross, hp, shrink),
        gamma_4=jnp.ones(hp.d_e),
        beta_4=jnp.zeros(hp.d_e),
        W_mlp3=_matrix(key_3, hp.d_mlp, hp.d_e),
        b_mlp3=jnp.zeros(hp.d_mlp),
        W_mlp4=_matrix(key_4, hp.d_e, hp.d_mlp, shrink),
        b_mlp4=jnp.zeros(hp.d_e),
        gamma_5=jnp.ones(hp.d_e),
        beta_5=jnp.zeros(hp.d_e),
    )


def _shrink(sublayers: int) -> float:
    return max(sublayers, 1) ** -0.5


def init_d_transformer(key: Array, hyperparameters: DTransformerHyperparameters) -> DTransformerParameters:
    """Random parameters of Algorithm 10."""
    hp = hyperparameters
    key_e, key_p, key_layers, key_u = jax.random.split(key, 4)
    return DTransformerParameters(
        W_e=_table(key_e, hp.N_V, hp.d_e),
        W_p=_table(key_p, hp.l_max, hp.d_e),
        layers=_stack(lambda k: _init_layer(k, hp, _shrink(2 * hp.L)), key_layers, hp.L),
        gamma=jnp.ones(hp.d_e),
        beta=jnp.zeros(hp.d_e),
        W_u=None if hp.tied_embeddings else _table(key_u, hp.N_V, hp.d_e),
    )


def init_e_transformer(key: Array, hyperparameters: ETransformerHyperparameters) -> ETransformerParameters:
    """Random parameters of Algorithm 9."""
    hp = hyperparameters
    assert hp.d_f is not None  # set when the hyperparameters were made
    key_e, key_p, key_layers, key_f, key_u = jax.random.split(key, 5)
    return ETransformerParameters(
        W_e=_table(key_e, hp.N_V, hp.d_e, _post_norm_scale(hp)),
        W_p=_table(key_p, hp.l_max, hp.d_e, _post_norm_scale(hp)),
        layers=_stack(lambda k: _init_layer(k, hp, _shrink(2 * hp.L)), key_layers, hp.L),
        W_f=_matrix(key_f, hp.d_f, hp.d_e),
        b_f=jnp.zeros(hp.d_f),
        gamma=jnp.ones(hp.d_f),
        beta=jnp.zeros(hp.d_f),
        W_u=None if hp.tied_embeddings else _table(key_u, hp.N_V, hp.d_f),
    )


def init_ed_transformer(key: Array, hyperparameters: EDTransformerHyperparameters) -> EDTransformerParameters:
    """Random parameters of Algorithm 8."""
    hp = hyperparameters
    key_e, key_p, key_encoder, key_decoder, key_u = jax.random.split(key, 5)
    return EDTransformerParameters(
        W_e=_table(key_e, hp.N_V, hp.d_e, _post_norm_scale(hp)),
        W_p=_table(key_p, hp.l_max, hp.d_e, _post_norm_scale(hp)),
        encoder=_stack(lambda k: _init_layer(k, hp, _shrink(2 * hp.L_enc)), key_encoder, hp.L_enc),
        decoder=_stack(lambda k: _init_decoder_layer(k, hp, _shrink(3 * hp.L_dec)), key_decoder, hp.L_dec),
        W_u=None if hp.tied_embeddings else _table(key_u, hp.N_V, hp.d_e),
    )
