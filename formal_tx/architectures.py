"""Algorithms 8, 9 and 10: the encoder-decoder, the encoder-only and the decoder-only transformer.

The layers are one pytree stacked on a leading axis and run by `lax.scan`: compile time does not grow with depth. Each
architecture comes as logits, the part before the softmax, which training and sampling use, and as probabilities.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from . import masks
from .architecture_contracts import d_requires, e_requires, ed_requires
from .attention import mh_attention
from .contracts import algorithm
from .embedding import embed, rows
from .hyperparameters import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
)
from .linear import affine, aligned
from .normalization import layer_norm
from .parameters import DTransformerParameters, EDTransformerParameters, ETransformerParameters
from .practice import AS_PRINTED, Practice
from .tagging import line, stacked

Attend = Callable[[jax.Array, Any, Any], tuple[jax.Array, Any]]
"""(X_tilde, a layer's `MHAttentionParameters`, a layer's state) -> (attention's output, a layer's new state)."""


def relu(x: jax.Array) -> jax.Array:
    """The positive part; nan stays nan."""
    return jax.nn.relu(x)


def gelu(x: jax.Array) -> jax.Array:
    """Eq. (5), the exact GELU, x Φ(x); `jax.nn.gelu` by default is the approximation by tanh."""
    return jax.nn.gelu(x, approximate=False)


def length_of(x: jax.Array, lengths: jax.Array | None) -> jax.Array | int:
    """length(x): a static integer, or the lengths of the sequences in a padded batch."""
    return x.shape[-1] if lengths is None else lengths


def positions_within(segments: jax.Array | None) -> jax.Array | None:
    """The position (..., ℓ) of each token within its text, where `segments` (..., ℓ) numbers several in one sequence.

    It is -1, for which there is no embedding, where the numbers of a sequence go down somewhere.
    """
    if segments is None:
        return None
    step = jnp.diff(segments, axis=-1, prepend=segments[..., :1] - 1)
    t = aligned(jnp.arange(segments.shape[-1]), segments)
    t = t - lax.cummax(jnp.where(step == 0, 0, t), axis=segments.ndim - 1)
    return jnp.where((step < 0).any(axis=-1, keepdims=True), -1, t)


def _visible(mask: masks.Mask, lengths: jax.Array | None, segments: jax.Array | None) -> masks.Mask:
    """`mask`, without the padding and without other texts."""
    if lengths is not None:
        mask = masks.padding(lengths) if mask is masks.full else mask & masks.padding(lengths)
    return mask if segments is None else mask & masks.same_segment(segments)


def unembedding_matrix(params: Any) -> jax.Array:
    """W_u, which is W_e itself where embeddings are tied."""
    return params.W_e if params.W_u is None else params.W_u


# Algorithm 8


@jax.named_scope("encoder")
def encode(
    z: Int[Array, "*batch l_z"],
    params: EDTransformerParameters,
    hyperparameters: EDTransformerHyperparameters,
    z_lengths: Int[Array, "*batch"] | None = None,
    practice: Practice = AS_PRINTED,
) -> Float[Array, "*batch l_z d_e"]:
    """Lines 1 to 9 of Algorithm 8: the encoding Z (..., ℓ_z, d_e) of a context sequence `z` (..., ℓ_z)."""
    epsilon, drop = hyperparameters.epsilon, practice.drop
    mask = _visible(masks.full, z_lengths, None)

    line(1, "l_z", length_of(z, z_lengths))
    e_z = line(2, "e_z", embed(z, params.W_e, params.W_p, z_lengths))
    Z = line(3, "Z", drop(3, e_z))

    @stacked("layers")
    def layer(Z, W_and_drop):
        W, drop = W_and_drop
        Z = line(5, "Z", Z + drop(5, mh_attention(Z, Z, W.attention, mask)))
        Z = line(6, "Z", layer_norm(Z, W.gamma_1, W.beta_1, epsilon=epsilon))
        Z = line(7, "Z", Z + drop(7, affine(relu(affine(Z, W.W_mlp1, W.b_mlp1)), W.W_mlp2, W.b_mlp2)))
        Z = line(8, "Z", layer_norm(Z, W.gamma_2, W.beta_2, epsilon=epsilon))
        return Z, None

    Z, _ = lax.scan(practice.layer(layer), Z, (params.encoder, drop.by_layer(hyperparameters.L_enc)))
    return Z


@jax.named_scope("decoder")
def decode(
    x,
    params,
    hyperparameters,
    attend: Attend,
    cross_attend: Attend,
    x_lengths=None,
    positions=None,
    states=None,
    practice: Practice = AS_PRINTED,
):
    """Lines 10 to 20 of Algorithm 8, and its logits, with the two attentions given.

    Args:
      x: (..., ℓ_x) token ids.
      attend, cross_attend: line 14's and line 16's attention; `states`, stacked by layer, is a pair for them.
      positions: (..., ℓ) position of each token; None is 0, 1, 2, …
    Returns:
      logits (..., ℓ_x, N_V), and the new states.
    """
    epsilon, drop = hyperparameters.epsilon, practice.drop
    states = (None, None) if states is None else states

    line(10, "l_x", length_of(x, x_lengths))
    e_x = line(11, "e_x", embed(x, params.W_e, _rows(params.W_p, positions), x_lengths))
    X = line(12, "X", drop(12, e_x))

    @stacked("layers")
    def layer(X, W_state_and_drop):
        W, (state, cross_state), drop = W_state_and_drop
        answer, state = attend(X, W.self_attention, state)
        X = line(14, "X", X + drop(14, answer))
        X = line(15, "X", layer_norm(X, W.gamma_3, W.beta_3, epsilon=epsilon))
        answer, cross_state = cross_attend(X, W.cross_attention, cross_state)
        X = line(16, "X", X + drop(16, answer))
        X = line(17, "X", layer_norm(X, W.gamma_4, W.beta_4, epsilon=epsilon))
        X = line(18, "X", X + drop(18, affine(relu(affine(X, W.W_mlp3, W.b_mlp3)), W.W_mlp4, W.b_mlp4)))
        X = line(19, "X", layer_norm(X, W.gamma_5, W.beta_5, epsilon=epsilon))
        return X, (state, cross_state)

    drop = drop.by_layer(hyperparameters.L_dec, stack=1)
    X, states = lax.scan(practice.layer(layer), X, (params.decoder, states, drop))
    return affine(X, unembedding_matrix(params)), states


def _rows(W_p: jax.Array, positions: jax.Array | None) -> jax.Array:
    """The rows of `W_p` for these positions; without any, the table itself, whose first rows `embed` takes."""
    return W_p if positions is None else rows(W_p, positions)


def self_attend(mask: masks.Mask) -> Attend:
    """Self-attention without a state: MHAttention(X, X | W, Mask)."""
    return lambda X, W, state: (mh_attention(X, X, W, mask), state)


@algorithm(ed_requires, static=("hyperparameters",))
def ed_transformer_logits(
    z: Int[Array, "*#batch l_z"],
    x: Int[Array, "*#batch l_x"],
    params: EDTransformerParameters,
    hyperparameters: EDTransformerHyperparameters,
    z_lengths: Int[Array, "*z_batch"] | None = None,
    x_lengths: Int[Array, "*x_batch"] | None = None,
    practice: Practice = AS_PRINTED,
) -> Float[Array, "*batch l_x N_V"]:
    """Algorithm 8 up to the softmax: logits (..., ℓ_x, N_V). As `ed_transformer`, and with `practice`."""
    theta, dtype = practice.cast(params), params.W_e.dtype
    Z = encode(z, theta, hyperparameters, z_lengths, practice)
    see = _visible(masks.full, z_lengths, None)

    @jax.named_scope("cross_attention")
    def cross_attend(X, W, state):
        return mh_attention(X, Z, W, see), state

    attend = jax.named_scope("self_attention")(self_attend(masks.causal))
    logits, _ = decode(x, theta, hyperparameters, attend, cross_attend, x_lengths, practice=practice)
    return logits.astype(dtype)


@algorithm(ed_requires, static=("hyperparameters",))
def ed_transformer(
    z: Int[Array, "*#batch l_z"],
    x: Int[Array, "*#batch l_x"],
    params: EDTransformerParameters,
    hyperparameters: EDTransformerHyperparameters,
    z_lengths: Int[Array, "*z_batch"] | None = None,
    x_lengths: Int[Array, "*x_batch"] | None = None,
) -> Float[Array, "*batch l_x N_V"]:
    """Algorithm 8: the encoder-decoder transformer.

    Args:
      z: (..., ℓ_z) context token ids, 1 ≤ ℓ_z ≤ l_max.
      x: (..., ℓ_x) primary token ids, 1 ≤ ℓ_x ≤ l_max.
      params: `EDTransformerParameters`.
      hyperparameters: `EDTransformerHyperparameters`.
      z_lengths, x_lengths: (...) how many tokens of each right-padded sequence are real. What stands in the padding is
        not looked at, and the rows of the result that belong to padding mean nothing.
    Returns:
      P (..., ℓ_x, N_V): row t is the estimate of P(x[t+1] | x[0..t], z). nan where a traced id is out of range.
    Raises:
      TypeError: for parameters of another architecture, or ids that are not integers.
      ValueError: for ids out of range, sequences empty or longer than l_max, or parameters of another size.
    """
    return line(21, "P", jax.nn.softmax(ed_transformer_logits(z, x, params, hyperparameters, z_lengths, x_lengths)))


# Algorithm 9


@algorithm(e_requires, static=("hyperparameters",))
def e_transformer_logits(
    x: Int[Array, "*batch l"],
    params: ETransformerParameters,
    hyperparameters: ETransformerHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
    segments: Int[Array, "*batch l"] | None = None,
    practice: Practice = AS_PRINTED,
) -> Float[Array, "*batch l N_V"]:
    """Algorithm 9 up to the softmax: logits (..., ℓ, N_V). Arguments and errors as `e_transformer`, and two more.

    Args:
      segments: (..., ℓ) non-decreasing numbers of the texts that share a sequence: a token sees its own text alone, and
        positions begin at 0 in each.
      practice: `Practice`, by default nothing.
    """
    dtype, params = params.W_e.dtype, practice.cast(params)
    epsilon, drop = hyperparameters.epsilon, practice.drop
    mask = _visible(masks.full, lengths, segments)

    line(1, "l", length_of(x, lengths))
    e = line(2, "e", embed(x, params.W_e, _rows(params.W_p, positions_within(segments)), lengths))
    X = line(3, "X", drop(3, e))

    @stacked("layers")
    def layer(X, W_and_drop):
        W, drop = W_and_drop
        X = line(5, "X", X + drop(5, mh_attention(X, X, W.attention, mask)))
        X = line(6, "X", layer_norm(X, W.gamma_1, W.beta_1, epsilon=epsilon))
        X = line(7, "X", X + drop(7, affine(gelu(affine(X, W.W_mlp1, W.b_mlp1)), W.W_mlp2, W.b_mlp2)))
        X = line(8, "X", layer_norm(X, W.gamma_2, W.beta_2, epsilon=epsilon))
        return X, None

    X, _ = lax.scan(practice.layer(layer), X, (params.layers, drop.by_layer(hyperparameters.L)))
    X = line(10, "X", gelu(affine(X, params.W_f, params.b_f)))
    X = line(11, "X", layer_norm(X, params.gamma, params.beta, epsilon=epsilon))
    return affine(X, unembedding_matrix(params)).astype(dtype)


@algorithm(e_requires, static=("hyperparameters",))
def e_transformer(
    x: Int[Array, "*batch l"],
    params: ETransformerParameters,
    hyperparameters: ETransformerHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
) -> Float[Array, "*batch l N_V"]:
    """Algorithm 9: the encoder-only transformer, BERT.

    Args:
      x: (..., ℓ) token ids, 1 ≤ ℓ ≤ l_max.
      params: `ETransformerParameters`.
      hyperparameters: `ETransformerHyperparameters`.
      lengths: (...) how many tokens of each right-padded sequence are real. What stands in the padding is not looked
        at, and the rows of the result that belong to padding mean nothing.
    Returns:
      P (..., ℓ, N_V), each row a distribution. nan where a traced id is out of range.
    Raises:
      TypeError: for parameters of another architecture, or ids that are not integers.
      ValueError: for ids out of range, a sequence empty or longer than l_max, or parameters of another size.
    """
    return line(12, "P", jax.nn.softmax(e_transformer_logits(x, params, hyperparameters, lengths)))


# Algorithm 10


def d_layers(
    x,
    params,
    hyperparameters,
    attend: Attend,
    lengths=None,
    positions=None,
    states=None,
    practice: Practice = AS_PRINTED,
):
    """Lines 1 to 10 of Algorithm 10, and its logits, with line 6's attention given.

    Args:
      x: (..., ℓ) token ids.
      attend: line 6's attention; `states`, stacked by layer, is what it carries.
      positions: (..., ℓ) position of each token; None is 0, 1, 2, …
    Returns:
      logits (..., ℓ, N_V), and the new states.
    """
    epsilon, drop = hyperparameters.epsilon, practice.drop

    line(1, "l", length_of(x, lengths))
    e = line(2, "e", embed(x, params.W_e, _rows(params.W_p, positions), lengths))
    X = line(3, "X", drop(3, e))

    @stacked("layers")
    def layer(X, W_state_and_drop):
        W, state, drop = W_state_and_drop
        X_tilde = line(5, "X_tilde", layer_norm(X, W.gamma_1, W.beta_1, epsilon=epsilon))
        answer, state = attend(X_tilde, W.attention, state)
        X = line(6, "X", X + drop(6, answer))
        X_tilde = line(7, "X_tilde", layer_norm(X, W.gamma_2, W.beta_2, epsilon=epsilon))
        X = line(8, "X", X + drop(8, affine(gelu(affine(X_tilde, W.W_mlp1, W.b_mlp1)), W.W_mlp2, W.b_mlp2)))
        return X, state

    X, states = lax.scan(practice.layer(layer), X, (params.layers, states, drop.by_layer(hyperparameters.L)))
    X = line(10, "X", layer_norm(X, params.gamma, params.beta, epsilon=epsilon))
    return affine(X, unembedding_matrix(params)), states


@algorithm(d_requires, static=("hyperparameters",))
def d_transformer_logits(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
    segments: Int[Array, "*batch l"] | None = None,
    practice: Practice = AS_PRINTED,
) -> Float[Array, "*batch l N_V"]:
    """Algorithm 10 up to the softmax: logits (..., ℓ, N_V). Arguments and errors as `d_transformer`, and two more.

    Args:
      segments: (..., ℓ) non-decreasing numbers of the texts that share a sequence: a token sees its own text alone, and
        positions begin at 0 in each.
      practice: `Practice`, by default nothing.
    """
    theta, attend = practice.cast(params), self_attend(_visible(masks.causal, None, segments))
    positions = positions_within(segments)
    logits, _ = d_layers(x, theta, hyperparameters, attend, lengths, positions, practice=practice)
    return logits.astype(params.W_e.dtype)


@algorithm(d_requires, static=("hyperparameters",))
def d_transformer(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
) -> Float[Array, "*batch l N_V"]:
    """Algorithm 10: the decoder-only transformer, GPT.

    Args:
      x: (..., ℓ) token ids, 1 ≤ ℓ ≤ l_max.
      params: `DTransformerParameters`.
      hyperparameters: `DTransformerHyperparameters`.
      lengths: (...) how many tokens of each right-padded sequence are real. What stands in the padding is not looked
        at, and the rows of the result that belong to padding mean nothing.
    Returns:
      P (..., ℓ, N_V): row t is the estimate of P(x[t+1] | x[0..t]). nan where a traced id is out of range.
    Raises:
      TypeError: for parameters of another architecture, or ids that are not integers.
      ValueError: for ids out of range, a sequence empty or longer than l_max, or parameters of another size.
    """
    return line(11, "P", jax.nn.softmax(d_transformer_logits(x, params, hyperparameters, lengths)))
