"""The losses of Algorithms 11, 12 and 13, for their training loops and for others.

As printed a loss is a sum over positions; the mean is an option. It comes from logits, so as never to meet log 0.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .architecture_contracts import d_requires, e_requires, ed_requires, require_special_tokens, token_sequences
from .architectures import d_transformer_logits, e_transformer_logits, ed_transformer_logits
from .contracts import algorithm
from .embedding import within
from .hyperparameters import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
)
from .parameters import DTransformerParameters, EDTransformerParameters, ETransformerParameters
from .tagging import line
from .validation import require_flags


def scored(
    log_P: Float[Array, "*batch l N_V"], targets: Int[Array, "*batch n"], counted: Bool[Array, "*batch n"], mean: bool
) -> Float[Array, ""]:
    """- Σ log P[target] over the counted positions.

    Args:
      log_P: (..., ℓ, N_V), from logits: the same value as the logarithm of P, without log 0.
      targets: (..., n) token ids, n ≤ ℓ, of which each is scored by the row at its place. counted: boolean (..., n).
      mean: divide by the number of counted positions (1 if there is none).
    """
    rows = log_P[..., : targets.shape[-1], :]
    known = (targets >= 0) & (targets < log_P.shape[-1])
    log_p = jnp.take_along_axis(rows, jnp.where(known, targets, 0)[..., None], axis=-1)[..., 0]
    log_p = log_p * jnp.where(known, 1, jnp.nan).astype(log_p.dtype)  # so that the gradient is nan too
    loss = jnp.sum(jnp.where(counted, -log_p, 0))
    return loss / jnp.maximum(jnp.sum(counted), 1).astype(loss.dtype) if mean else loss


def _next_tokens(x: jax.Array, lengths: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """The targets x[t+1] and whether they are scored: t = 1 .. l-1 in the paper, so the last column never is."""
    targets = x[..., 1:]
    counted = within(targets, None if lengths is None else lengths - 1)
    return jnp.where(counted, targets, 0), counted


def _d_loss_requires(params, x, hyperparameters, lengths, mean):
    require_flags("d_loss", mean=mean)
    return d_requires(x, params, hyperparameters, lengths, function="d_loss")


@algorithm(_d_loss_requires, static=("hyperparameters", "mean"))
def d_loss(
    params: DTransformerParameters,
    x: Int[Array, "*batch l"],
    hyperparameters: DTransformerHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
    *,
    mean: bool = False,
) -> Float[Array, ""]:
    """Lines 4 and 5 of Algorithm 13: - Σ_t log P[x[t+1], t], a sum (or mean) over all sequences of `x` (..., ℓ)."""
    log_P = line(4, "log_P", jax.nn.log_softmax(d_transformer_logits(x, params, hyperparameters, lengths)))
    return line(5, "loss", scored(log_P, *_next_tokens(x, lengths), mean))


def _ed_loss_requires(params, z, x, hyperparameters, z_lengths, x_lengths, mean):
    require_flags("ed_loss", mean=mean)
    return ed_requires(z, x, params, hyperparameters, z_lengths, x_lengths, function="ed_loss")


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
) -> Float[Array, ""]:
    """Lines 4 and 5 of Algorithm 11: - Σ_t log P[x[t+1], t] of `x` (..., ℓ_x) given `z` (..., ℓ_z)."""
    logits = ed_transformer_logits(z, x, params, hyperparameters, z_lengths, x_lengths)
    log_P = line(4, "log_P", jax.nn.log_softmax(logits))
    return line(5, "loss", scored(log_P, *_next_tokens(x, x_lengths), mean))


def _e_loss_requires(params, x_tilde, x, hyperparameters, lengths, mean):
    name = "e_loss"
    require_flags(name, mean=mean)
    canonical = e_requires(x, params, hyperparameters, lengths, function=name)
    require_special_tokens(name, hyperparameters, "a mask_token")
    x_tilde, _ = token_sequences(name, "x_tilde", x_tilde, hyperparameters, lengths)
    if x_tilde.shape != canonical["x"].shape:
        raise ValueError(
            f"{name}: x_tilde has shape {x_tilde.shape} and x has {canonical['x'].shape}, expected the same"
        )
    return canonical | {"x_tilde": x_tilde}


@algorithm(_e_loss_requires, static=("hyperparameters", "mean"))
def e_loss(
    params: ETransformerParameters,
    x_tilde: Int[Array, "*batch l"],
    x: Int[Array, "*batch l"],
    hyperparameters: ETransformerHyperparameters,
    lengths: Int[Array, "*batch"] | None = None,
    *,
    mean: bool = False,
) -> Float[Array, ""]:
    """Lines 7 to 9 of Algorithm 12: - Σ log P[x[t], t] over the positions where `x_tilde` is mask_token."""
    T_tilde = line(7, "T_tilde", x_tilde == hyperparameters.mask_token)
    log_P = line(8, "log_P", jax.nn.log_softmax(e_transformer_logits(x_tilde, params, hyperparameters, lengths)))
    T_tilde = T_tilde & within(x, lengths)
    return line(9, "loss", scored(log_P, jnp.where(T_tilde, x, 0), T_tilde, mean))


def mask_tokens(key, x, hyperparameters, mask_probability):
    """Lines 4 to 6 of Algorithm 12: each token of `x` (..., ℓ) replaced by mask_token with the given probability."""
    replaced = jax.random.uniform(key, x.shape, jnp.float32) < mask_probability
    return line(5, "x_tilde", jnp.where(replaced, hyperparameters.mask_token, x))
