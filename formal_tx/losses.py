"""The losses of Algorithms 11, 12 and 13, for their training loops and for others.

As printed a loss is a sum over positions; the mean is an option. It comes from logits, so as never to meet log 0.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .architecture_contracts import d_requires, e_requires, ed_requires, require_special_tokens, token_sequences
from .architectures import (
    Unembedding,
    d_features,
    d_transformer_logits,
    e_features,
    e_transformer_logits,
    ed_features,
    ed_transformer_logits,
    logits_of,
)
from .contracts import algorithm
from .embedding import within
from .hyperparameters import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
)
from .losses_in_parts import in_parts, sum_in_parts
from .parameters import DTransformerParameters, EDTransformerParameters, ETransformerParameters
from .practice import AS_PRINTED, Practice
from .tagging import line
from .validation import as_arrays, require_flags


def scored(
    log_P: Float[Array, "*batch l N_V"],
    targets: Int[Array, "*batch n"],
    counted: Bool[Array, "*batch n"],
    mean: bool,
    label_smoothing: float = 0.0,
) -> Float[Array, ""]:
    """- Σ log P[target] over the counted positions.

    Args:
      log_P: (..., ℓ, N_V), from logits: the same value as the logarithm of P, without log 0.
      targets: (..., n) token ids, n ≤ ℓ, of which each is scored by the row at its place. counted: boolean (..., n).
      mean: divide by the number of counted positions (1 if there is none).
      label_smoothing: this share ε of each score is that of a token drawn from all of the vocabulary.
    """
    rows = log_P[..., : targets.shape[-1], :]
    known = (targets >= 0) & (targets < log_P.shape[-1])
    log_p = jnp.take_along_axis(rows, jnp.where(known, targets, 0)[..., None], axis=-1)[..., 0]
    log_p = log_p * jnp.where(known, 1, jnp.nan).astype(log_p.dtype)  # so that the gradient is nan too
    if label_smoothing:
        log_p = (1 - label_smoothing) * log_p + label_smoothing * rows.mean(axis=-1)
    loss = jnp.sum(jnp.where(counted, -log_p, 0))
    return _mean(loss, counted) if mean else loss


def _mean(loss: jax.Array, counted: jax.Array) -> jax.Array:
    return loss / jnp.maximum(jnp.sum(counted), 1).astype(loss.dtype)


def _scored_in_parts(X, params, theta, hyperparameters, targets, counted, mean, practice):
    """`scored` for X (..., ℓ, d_e), of which the logits of all positions would be too many."""

    def score(X, theta, targets, counted):
        logits = logits_of(X, theta, hyperparameters).astype(params.W_e.dtype)
        log_P = logits - jax.nn.logsumexp(logits, axis=-1, keepdims=True)
        return scored(log_P, targets, counted, mean=False, label_smoothing=practice.label_smoothing)

    loss = sum_in_parts(score, X, Unembedding.of(theta), targets, counted, hyperparameters.N_V)
    return _mean(loss, counted) if mean else loss


def next_tokens(
    x: jax.Array, lengths: jax.Array | None, segments: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """The targets x[t+1] and whether they are scored: t = 1 .. l-1 in the paper, so the last column never is.

    Of several texts in one sequence the first token of each is scored by nothing.
    """
    targets = x[..., 1:]
    counted = within(targets, None if lengths is None else lengths - 1)
    if segments is not None:
        counted &= segments[..., 1:] == segments[..., :-1]
    return jnp.where(counted, targets, 0), counted


def _d_loss_requires(params, x, hyperparameters, lengths, segments, mean, practice):
    require_flags("d_loss", mean=mean)
    return d_requires(x, params, hyperparameters, lengths, segments, practice, function="d_loss")


@algorithm(_d_loss_requires, static=("hyperparameters", "mean"))
def d_loss(
    params: DTransformerParameters,
    x: Int[Array, "*batch l"],
    hyperparameters: DTransformerHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
    *,
    segments: Int[Array, "*batch l"] | None = None,
    mean: bool = False,
    practice: Practice = AS_PRINTED,
) -> Float[Array, ""]:
    """Lines 4 and 5 of Algorithm 13: - Σ_t log P[x[t+1], t], a sum (or mean) over all sequences of `x` (..., ℓ).

    `segments` (..., ℓ) numbers the texts that share a sequence, as in `d_transformer_logits`.
    """
    targets, counted = next_tokens(x, lengths, segments)
    if in_parts(targets.size, hyperparameters.N_V):
        theta = practice.cast(params)
        X = d_features(x, theta, hyperparameters, lengths, segments, practice)
        return _scored_in_parts(X, params, theta, hyperparameters, targets, counted, mean, practice)
    logits = d_transformer_logits(x, params, hyperparameters, lengths, segments, practice)
    log_P = line(4, "log_P", jax.nn.log_softmax(logits))
    return line(5, "loss", scored(log_P, targets, counted, mean, practice.label_smoothing))


def _ed_loss_requires(params, z, x, hyperparameters, z_lengths, x_lengths, mean, practice):
    require_flags("ed_loss", mean=mean)
    return ed_requires(z, x, params, hyperparameters, z_lengths, x_lengths, practice, function="ed_loss")


@algorithm(_ed_loss_requires, static=("hyperparameters", "mean"))
def ed_loss(
    params: EDTransformerParameters,
    z: Int[Array, "*#batch l_z"],
    x: Int[Array, "*#batch l_x"],
    hyperparameters: EDTransformerHyperparameters,
    z_lengths: Int[Array, "*z_batch"] | None = None,
    x_lengths: Int[Array, "*x_batch"] | None = None,
    *,
    mean: bool = False,
    practice: Practice = AS_PRINTED,
) -> Float[Array, ""]:
    """Lines 4 and 5 of Algorithm 11: - Σ_t log P[x[t+1], t] of `x` (..., ℓ_x) given `z` (..., ℓ_z)."""
    targets, counted = next_tokens(x, x_lengths)
    if in_parts(targets.size, hyperparameters.N_V):
        theta = practice.cast(params)
        X = ed_features(z, x, theta, hyperparameters, z_lengths, x_lengths, practice)
        return _scored_in_parts(X, params, theta, hyperparameters, targets, counted, mean, practice)
    logits = ed_transformer_logits(z, x, params, hyperparameters, z_lengths, x_lengths, practice)
    log_P = line(4, "log_P", jax.nn.log_softmax(logits))
    return line(5, "loss", scored(log_P, targets, counted, mean, practice.label_smoothing))


def _e_loss_requires(params, x_tilde, x, hyperparameters, lengths, segments, chosen, mean, practice):
    name = "e_loss"
    require_flags(name, mean=mean)
    canonical = e_requires(x, params, hyperparameters, lengths, segments, practice, function=name)
    require_special_tokens(name, hyperparameters, "a mask_token")
    x_tilde, _ = token_sequences(name, "x_tilde", x_tilde, hyperparameters, lengths)
    if x_tilde.shape != canonical["x"].shape:
        raise ValueError(
            f"{name}: x_tilde has shape {x_tilde.shape} and x has {canonical['x'].shape}, expected the same"
        )
    if chosen is not None:
        (chosen,) = as_arrays(name, chosen=chosen)
        if chosen.dtype != bool or chosen.shape != x_tilde.shape:
            raise ValueError(
                f"{name}: chosen has shape {chosen.shape} and dtype {chosen.dtype}, expected booleans of shape "
                f"{x_tilde.shape}"
            )
        chosen = jnp.asarray(chosen)
    return canonical | {"x_tilde": x_tilde, "chosen": chosen}


@algorithm(_e_loss_requires, static=("hyperparameters", "mean"))
def e_loss(
    params: ETransformerParameters,
    x_tilde: Int[Array, "*batch l"],
    x: Int[Array, "*batch l"],
    hyperparameters: ETransformerHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
    *,
    segments: Int[Array, "*batch l"] | None = None,
    chosen: Bool[Array, "*batch l"] | None = None,
    mean: bool = False,
    practice: Practice = AS_PRINTED,
) -> Float[Array, ""]:
    """Lines 7 to 9 of Algorithm 12: - Σ log P[x[t], t] over the positions where `x_tilde` is mask_token.

    `segments` (..., ℓ) numbers the texts that share a sequence, as in `e_transformer_logits`; `chosen` (..., ℓ), if
    given, is the positions to score instead of those where `x_tilde` is mask_token.
    """
    T_tilde = line(7, "T_tilde", x_tilde == hyperparameters.mask_token if chosen is None else chosen)
    T_tilde = T_tilde & within(x, lengths)
    if in_parts(x.size, hyperparameters.N_V):
        theta = practice.cast(params)
        X = e_features(x_tilde, theta, hyperparameters, lengths, segments, practice)
        targets = jnp.where(T_tilde, x, 0)
        return _scored_in_parts(X, params, theta, hyperparameters, targets, T_tilde, mean, practice)
    logits = e_transformer_logits(x_tilde, params, hyperparameters, lengths, segments, practice)
    log_P = line(8, "log_P", jax.nn.log_softmax(logits))
    return line(9, "loss", scored(log_P, jnp.where(T_tilde, x, 0), T_tilde, mean, practice.label_smoothing))
