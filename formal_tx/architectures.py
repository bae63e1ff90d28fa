"""Algorithms 8, 9 and 10: the encoder-decoder, the encoder-only and the decoder-only transformer.

What a variation changes is a function among the hyperparameters (`hyperparameters.py`). As printed, `before` is
Algorithm 6 in Algorithm 10 and the identity in the others, `after` the other way round, `branch` and `inner` are the
identity everywhere, and the activation is ReLU in Algorithm 8 and eq. (5) in the others.

The layers are one pytree stacked on a leading axis and run by `lax.scan`: compile time does not grow with depth. Each
architecture comes as logits, the part before the softmax, which training and sampling use, and as probabilities.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from . import masks
from .architecture_contracts import d_requires, e_requires, ed_requires
from .attending import AS_PRINTED as ATTENDING_AS_PRINTED
from .attending import Attending
from .attention import mh_attention
from .contracts import algorithm
from .embedding import embed, rows
from .hyperparameters import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
    Hyperparameters,
    learned,
)
from .linear import affine, aligned
from .mlp import mlp
from .parameters import DTransformerParameters, EDTransformerParameters, ETransformerParameters
from .placement import Placement
from .practice import AS_PRINTED, Practice
from .tagging import line, stacked

Attend = Callable[[jax.Array, Any, Any, Any], tuple[jax.Array, Any]]
"""(X_tilde, a layer's `MHAttentionParameters`, its state, its window) -> (attention's output, a layer's new state)."""


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


def unembedding_matrix(params: Any) -> Any:
    """W_u, which is W_e itself where embeddings are tied."""
    return params.W_e if params.W_u is None else params.W_u


class Unembedding(NamedTuple):
    """The parameters that `logits_of` reads, W_u (N_V, d_e) and b_u (N_V,), without the others."""

    W_u: Any
    b_u: Any

    @classmethod
    def of(cls, params: Any) -> "Unembedding":
        """Those of an architecture."""
        return cls(unembedding_matrix(params), params.b_u)


def logits_of(X: jax.Array, params: Any, hyperparameters: Hyperparameters) -> jax.Array:
    """W_u X, what the last line makes probabilities of."""
    logits = affine(X, unembedding_matrix(params), params.b_u)
    if hyperparameters.logit_scale != 1:
        logits = logits * hyperparameters.logit_scale
    return logits if hyperparameters.logit_cap is None else hyperparameters.logit_cap(logits)


def positional_table(hyperparameters: Hyperparameters, W_p: jax.Array | None, W_e: Any, l_max: int) -> jax.Array | None:
    """The positional table: W_p if it is learned, the one that is computed, or none."""
    if W_p is not None or hyperparameters.table is None or hyperparameters.table is learned:
        return W_p
    table = jnp.asarray(hyperparameters.table(l_max, hyperparameters.d_e), W_e.dtype)
    if table.shape != (l_max, hyperparameters.d_e):
        raise ValueError(f"hyperparameters.table gives shape {table.shape}, expected {(l_max, hyperparameters.d_e)}")
    return table


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
    hp = hyperparameters

    line(1, "l_z", length_of(z, z_lengths))
    W_p = positional_table(hp, params.W_p if params.W_pz is None else params.W_pz, params.W_e, hp.l_max_z or hp.l_max)
    W_e = params.W_e if params.W_ez is None else params.W_ez
    e_z = embed(z, W_e, W_p, z_lengths, scale=hp.embedding_scale)
    if hp.embedding_norm:
        e_z = hp.normalise(e_z, params.gamma_ez, params.beta_ez)
    return encode_embedded(line(2, "e_z", e_z), params, hp, z_lengths, practice)


def encode_embedded(
    e_z: Float[Array, "*batch l_z d_e"],
    params: EDTransformerParameters,
    hyperparameters: EDTransformerHyperparameters,
    z_lengths: Int[Array, "*batch"] | None = None,
    practice: Practice = AS_PRINTED,
) -> Float[Array, "*batch l_z d_e"]:
    """Lines 3 to 9 of Algorithm 8, for a context `e_z` (..., ℓ_z, d_e) that is embedded already."""
    hp, activation, drop = hyperparameters, hyperparameters.activation, practice.drop
    before, branch, after, inner = hp.norms
    attend = self_attend(_visible(masks.full, z_lengths, None), hp.attending, params.W_rz)

    Z = line(3, "Z", drop(3, e_z))

    @stacked("layers")
    def layer(Z, of_layer):
        W, window, drop = of_layer
        answer, _ = attend(before(Z, W.gamma_1, W.beta_1), W.attention, None, window)
        Z = line(5, "Z", Z + drop(5, branch(answer, W.branch_1)))
        Z = line(6, "Z", after(Z, W.gamma_1, W.beta_1))
        Z_tilde = before(Z, W.gamma_2, W.beta_2)
        Z = line(7, "Z", Z + drop(7, branch(mlp(Z_tilde, W.mlp, activation, inner), W.branch_2)))
        Z = line(8, "Z", after(Z, W.gamma_2, W.beta_2))
        return Z, None

    L = hp.L_enc
    Z, _ = lax.scan(practice.layer(layer), Z, (params.encoder, hp.windows_of(L), drop.by_layer(L)), length=L)
    return hp.normalise(Z, params.gamma_z, params.beta_z) if hp.final_norm else Z


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
    """Lines 10 to 20 of Algorithm 8 with the two attentions given.

    Args:
      x: (..., ℓ_x) token ids.
      attend, cross_attend: line 14's and line 16's attention; `states`, stacked by layer, is a pair for them.
      positions: (..., ℓ) position of each token; None is 0, 1, 2, …
    Returns:
      X (..., ℓ_x, d_e), of which `logits_of` makes logits, and the new states.
    """
    hp, activation, drop = hyperparameters, hyperparameters.activation, practice.drop
    before, branch, after, inner = hp.norms
    states = (None, None) if states is None else states

    line(10, "l_x", length_of(x, x_lengths))
    W_p = _rows(positional_table(hp, params.W_p, params.W_e, hp.l_max), positions)
    e_x = line(11, "e_x", embed(x, params.W_e, W_p, x_lengths, scale=hp.embedding_scale))
    if hp.embedding_norm:
        e_x = hp.normalise(e_x, params.gamma_ex, params.beta_ex)
    X = line(12, "X", drop(12, e_x))

    @stacked("layers")
    def layer(X, of_layer):
        W, (state, cross_state), window, drop = of_layer
        answer, state = attend(before(X, W.gamma_3, W.beta_3), W.self_attention, state, window)
        X = line(14, "X", X + drop(14, branch(answer, W.branch_3)))
        X = line(15, "X", after(X, W.gamma_3, W.beta_3))
        answer, cross_state = cross_attend(before(X, W.gamma_4, W.beta_4), W.cross_attention, cross_state, None)
        X = line(16, "X", X + drop(16, branch(answer, W.branch_4)))
        X = line(17, "X", after(X, W.gamma_4, W.beta_4))
        X_tilde = before(X, W.gamma_5, W.beta_5)
        X = line(18, "X", X + drop(18, branch(mlp(X_tilde, W.mlp, activation, inner), W.branch_5)))
        X = line(19, "X", after(X, W.gamma_5, W.beta_5))
        return X, (state, cross_state)

    L = hp.L_dec
    of_layers = (params.decoder, states, hp.windows_of(L), drop.by_layer(L, stack=1))
    X, states = lax.scan(practice.layer(layer), X, of_layers, length=L)
    return hp.normalise(X, params.gamma_x, params.beta_x) if hp.final_norm else X, states


def _rows(W_p: jax.Array | None, positions: jax.Array | None) -> jax.Array | None:
    """The rows of `W_p` for these positions; without any, the table itself, whose first rows `embed` takes."""
    return W_p if positions is None or W_p is None else rows(W_p, positions)


def self_attend(
    mask: masks.Mask,
    attending: Attending = ATTENDING_AS_PRINTED,
    W_r: jax.Array | None = None,
    positions: jax.Array | None = None,
) -> Attend:
    """Self-attention without a state: MHAttention(X, X | W, Mask)."""

    def attend(X, W, state, window):
        see = mask if window is None else mask & masks.window(window)
        return mh_attention(X, X, W, see, attending, positions, positions, W_r), state

    return attend


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
    X = ed_features(z, x, theta, hyperparameters, z_lengths, x_lengths, practice)
    return logits_of(X, theta, hyperparameters).astype(dtype)


def ed_features(z, x, params, hyperparameters, z_lengths, x_lengths, practice):
    """Lines 1 to 20 of Algorithm 8: X (..., ℓ_x, d_e), in the type to compute with."""
    Z = encode(z, params, hyperparameters, z_lengths, practice)
    see = _visible(masks.full, z_lengths, None)

    @jax.named_scope("cross_attention")
    def cross_attend(X, W, state, window):
        del window
        return mh_attention(X, Z, W, see, hyperparameters.cross_attending), state

    attending = hyperparameters.decoder_attending
    attend = jax.named_scope("self_attention")(self_attend(masks.causal, attending, params.W_rx))
    return decode(x, params, hyperparameters, attend, cross_attend, x_lengths, practice=practice)[0]


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


def e_layers(
    e: Float[Array, "*batch l d_e"],
    params: ETransformerParameters,
    hyperparameters: ETransformerHyperparameters,
    mask: masks.Mask = masks.full,
    positions: Int[Array, "*batch l"] | None = None,
    practice: Practice = AS_PRINTED,
) -> Float[Array, "*batch l d_e"]:
    """Lines 3 to 9 of Algorithm 9, for a sequence `e` (..., ℓ, d_e) that is embedded already."""
    hp, activation, drop = hyperparameters, hyperparameters.activation, practice.drop
    before, branch, after, inner = hp.norms
    attend = self_attend(mask, hp.attending, params.W_r, positions)

    X = line(3, "X", drop(3, e))

    @stacked("layers")
    def layer(X, of_layer):
        W, window, drop = of_layer
        X_tilde = before(X, W.gamma_1, W.beta_1)
        answer, _ = attend(X_tilde, W.attention, None, window)
        Y = line(5, "X", X + drop(5, branch(answer, W.branch_1)))
        Y = line(6, "X", after(Y, W.gamma_1, W.beta_1))
        X_tilde = _second_input(hp.placement, before, X_tilde, X, Y, W)
        X = line(7, "X", Y + drop(7, branch(mlp(X_tilde, W.mlp, activation, inner), W.branch_2)))
        X = line(8, "X", after(X, W.gamma_2, W.beta_2))
        return X, None

    L = hp.L
    X, _ = lax.scan(practice.layer(layer), X, (params.layers, hp.windows_of(L), drop.by_layer(L)), length=L)
    return hp.normalise(X, params.gamma_x, params.beta_x) if hp.final_norm else X


def _second_input(placement: Placement, before: Any, X_tilde: jax.Array, X: jax.Array, Y: jax.Array, W: Any) -> Any:
    """What the MLP reads: what stands in the residual stream by then (Y), or with `parallel` what attention read."""
    if placement.one_norm:
        return X_tilde
    return before(X if placement.parallel else Y, W.gamma_2, W.beta_2)


def e_embed(x, params, hyperparameters, lengths=None, segments=None, types=None):
    """Line 2 of Algorithm 9: the embeddings (..., ℓ, d_e) of tokens, of their positions, and of their types."""
    hp = hyperparameters
    W_p = _rows(positional_table(hp, params.W_p, params.W_e, hp.l_max), positions_within(segments))
    e = embed(x, params.W_e, W_p, lengths, scale=hp.embedding_scale)
    if hp.N_S:
        e = e + rows(params.W_s, jnp.zeros(x.shape, int) if types is None else types)
    return hp.normalise(e, params.gamma_e, params.beta_e) if hp.embedding_norm else e


def e_encode(x, params, hyperparameters, lengths, segments, practice, types):
    """Lines 1 to 9 of Algorithm 9: the encoding X (..., ℓ, d_e), in the type to compute with."""
    line(1, "l", length_of(x, lengths))
    e = line(2, "e", e_embed(x, params, hyperparameters, lengths, segments, types))
    mask, positions = _visible(masks.full, lengths, segments), positions_within(segments)
    return e_layers(e, params, hyperparameters, mask, positions, practice)


@algorithm(e_requires, static=("hyperparameters",))
def e_transformer_features(
    x: Int[Array, "*batch l"],
    params: ETransformerParameters,
    hyperparameters: ETransformerHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
    segments: Int[Array, "*batch l"] | None = None,
    practice: Practice = AS_PRINTED,
    types: Int[Array, "*batch l"] | None = None,
) -> Float[Array, "*batch l d_e"]:
    """Lines 1 to 9 of Algorithm 9: the encoding X (..., ℓ, d_e). Arguments and errors as `e_transformer_logits`."""
    params, dtype = practice.cast(params), jax.tree.leaves(params)[0].dtype
    return e_encode(x, params, hyperparameters, lengths, segments, practice, types).astype(dtype)


@algorithm(e_requires, static=("hyperparameters",))
def e_transformer_logits(
    x: Int[Array, "*batch l"],
    params: ETransformerParameters,
    hyperparameters: ETransformerHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
    segments: Int[Array, "*batch l"] | None = None,
    practice: Practice = AS_PRINTED,
    types: Int[Array, "*batch l"] | None = None,
) -> Float[Array, "*batch l N_V"]:
    """Algorithm 9 up to the softmax: logits (..., ℓ, N_V). Arguments and errors as `e_transformer`, and three more.

    Args:
      segments: (..., ℓ) non-decreasing numbers of the texts that share a sequence: a token sees its own text alone, and
        positions begin at 0 in each.
      practice: `Practice`, by default nothing.
      types: (..., ℓ) the type of each token, where these have embeddings of their own (`N_S`); all 0 unless given.
    Raises:
      ValueError: also for hyperparameters without a head.
    """
    hp, params, dtype = hyperparameters, practice.cast(params), jax.tree.leaves(params)[0].dtype
    X = e_features(x, params, hp, lengths, segments, practice, types)
    return logits_of(X, params, hp).astype(dtype)


def e_features(x, params, hyperparameters, lengths, segments, practice, types=None):
    """Lines 1 to 11 of Algorithm 9: X (..., ℓ, d_f), in the type to compute with.

    Raises:
      ValueError: for hyperparameters without a head.
    """
    hp = hyperparameters
    if not hp.head:
        raise ValueError(
            "e_transformer: hyperparameters.head is False, expected True: without a head there are no logits"
        )
    X = e_encode(x, params, hp, lengths, segments, practice, types)
    assert params.W_f is not None  # there is a head
    X = line(10, "X", hp.activation(affine(X, params.W_f, params.b_f)))
    return line(11, "X", hp.normalise(X, params.gamma, params.beta))


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
    """Lines 1 to 10 of Algorithm 10 with line 6's attention given.

    Args:
      x: (..., ℓ) token ids.
      attend: line 6's attention; `states`, stacked by layer, is what it carries.
      positions: (..., ℓ) position of each token; None is 0, 1, 2, …
    Returns:
      X (..., ℓ, d_e), of which `logits_of` makes logits, and the new states.
    """
    hp = hyperparameters

    line(1, "l", length_of(x, lengths))
    W_p = _rows(positional_table(hp, params.W_p, params.W_e, hp.l_max), positions)
    e = line(2, "e", embed(x, params.W_e, W_p, lengths, scale=hp.embedding_scale))
    if hp.embedding_norm:
        e = hp.normalise(e, params.gamma_e, params.beta_e)
    return d_layers_embedded(e, params, hp, attend, states, practice)


def d_layers_embedded(e, params, hyperparameters, attend: Attend, states=None, practice: Practice = AS_PRINTED):
    """Lines 3 to 10 of Algorithm 10, for a sequence `e` (..., ℓ, d_e) that is embedded already. As `d_layers`."""
    hp, activation, drop = hyperparameters, hyperparameters.activation, practice.drop
    before, branch, after, inner = hp.norms

    X = line(3, "X", drop(3, e))

    @stacked("layers")
    def layer(X, of_layer):
        W, state, window, drop = of_layer
        X_tilde = line(5, "X_tilde", before(X, W.gamma_1, W.beta_1))
        answer, state = attend(X_tilde, W.attention, state, window)
        Y = after(X + drop(6, branch(answer, W.branch_1)), W.gamma_1, W.beta_1)
        Y = line(6, "X", Y)
        X_tilde = line(7, "X_tilde", _second_input(hp.placement, before, X_tilde, X, Y, W))
        X = after(Y + drop(8, branch(mlp(X_tilde, W.mlp, activation, inner), W.branch_2)), W.gamma_2, W.beta_2)
        return line(8, "X", X), state

    L = hp.L
    of_layers = (params.layers, states, hp.windows_of(L), drop.by_layer(L))
    X, states = lax.scan(practice.layer(layer), X, of_layers, length=L)
    if hp.final_norm:
        X = line(10, "X", hp.normalise(X, params.gamma, params.beta))
    return X, states


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
    theta = practice.cast(params)
    X = d_features(x, theta, hyperparameters, lengths, segments, practice)
    return logits_of(X, theta, hyperparameters).astype(params.W_e.dtype)


def d_features(x, params, hyperparameters, lengths, segments, practice):
    """Lines 1 to 10 of Algorithm 10: X (..., ℓ, d_e), in the type to compute with."""
    positions = positions_within(segments)
    attend = self_attend(_visible(masks.causal, None, segments), hyperparameters.attending, params.W_r, positions)
    return d_layers(x, params, hyperparameters, attend, lengths, positions, practice=practice)[0]


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
