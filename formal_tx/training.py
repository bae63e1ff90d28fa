"""Algorithms 11, 12 and 13: training on pairs, on masked words, on the next token.

As printed: the loss is a sum over positions, each sequence makes one update, in the order given, and the optimiser is
`optax.sgd(eta)`. Batches, means and other optimisers are options. The losses are public, for other training loops.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax

from .architectures import (
    d_requires,
    d_transformer_logits,
    e_requires,
    e_transformer_logits,
    ed_requires,
    ed_transformer_logits,
)
from .contracts import algorithm, is_concrete, refuse_nan
from .linear import aligned
from .tagging import line


@struct.dataclass
class History:
    """What training leaves behind besides θ.

    Attributes:
      loss: (epochs, N_data / batch_size) the loss of each update, before it.
      optimizer_state: to go on from, as `optimizer_state=history.optimizer_state`.
    """

    loss: jax.Array
    optimizer_state: Any


def scored(logits: jax.Array, targets: jax.Array, counted: jax.Array, number: int, mean: bool) -> jax.Array:
    """- Σ log P[target] over the counted positions, from logits: the same value as from P, without log 0.

    Args:
      logits: (..., ℓ, N_V), whose softmax is the P of line `number`.
      targets: (..., ℓ) token ids. counted: boolean (..., ℓ).
      mean: divide by the number of counted positions (1 if there is none).
    """
    log_P = jax.nn.log_softmax(logits)
    line(number, "P", jnp.exp(log_P))
    log_p = jnp.take_along_axis(log_P, targets[..., None], axis=-1, mode="fill", fill_value=jnp.nan)[..., 0]
    loss = jnp.sum(jnp.where(counted, -log_p, 0))
    count = jnp.maximum(jnp.sum(counted), 1).astype(loss.dtype)
    return line(number + 1, "loss", loss / count if mean else loss)


def _next_tokens(x: jax.Array, lengths: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """The targets x[t+1] and whether they are scored: t = 1 .. l-1 in the paper, so the last column never is."""
    targets = x[..., 1:]
    counted = _within(targets, None if lengths is None else lengths - 1)
    return jnp.where(counted, targets, 0), counted


def _within(x: jax.Array, lengths: jax.Array | None) -> jax.Array:
    """Which tokens of `x` (..., ℓ) are real: all of them, or the first `lengths` (...)."""
    if lengths is None:
        return jnp.ones(x.shape, bool)
    return aligned(jnp.arange(x.shape[-1]), x) < lengths[..., None]


def _d_loss_requires(params, x, hyperparameters, lengths, mean):
    return d_requires(x, params, hyperparameters, lengths, function="d_loss")


@algorithm(_d_loss_requires, static=("hyperparameters", "mean"))
def d_loss(params, x, hyperparameters, lengths=None, *, mean=False):
    """Lines 4 and 5 of Algorithm 13: - Σ_t log P[x[t+1], t], a sum (or mean) over all sequences of `x` (..., ℓ)."""
    logits = d_transformer_logits(x, params, hyperparameters, lengths)
    targets, counted = _next_tokens(x, lengths)
    return scored(logits[..., :-1, :], targets, counted, 4, mean)


def _ed_loss_requires(params, z, x, hyperparameters, z_lengths, x_lengths, mean):
    return ed_requires(z, x, params, hyperparameters, z_lengths, x_lengths, function="ed_loss")


@algorithm(_ed_loss_requires, static=("hyperparameters", "mean"))
def ed_loss(params, z, x, hyperparameters, z_lengths=None, x_lengths=None, *, mean=False):
    """Lines 4 and 5 of Algorithm 11: - Σ_t log P[x[t+1], t] of `x` (..., ℓ_x) given `z` (..., ℓ_z)."""
    logits = ed_transformer_logits(z, x, params, hyperparameters, z_lengths, x_lengths)
    targets, counted = _next_tokens(x, x_lengths)
    return scored(logits[..., :-1, :], targets, counted, 4, mean)


def _e_loss_requires(params, x_tilde, x, hyperparameters, lengths, mean):
    canonical = e_requires(x_tilde, params, hyperparameters, lengths, function="e_loss")
    x = e_requires(x, params, hyperparameters, lengths, function="e_loss")["x"]
    return {"params": canonical["params"], "x_tilde": canonical["x"], "x": x, "lengths": canonical["lengths"]}


@algorithm(_e_loss_requires, static=("hyperparameters", "mean"))
def e_loss(params, x_tilde, x, hyperparameters, lengths=None, *, mean=False):
    """Lines 7 to 9 of Algorithm 12: - Σ log P[x[t], t] over the positions where `x_tilde` is mask_token."""
    T_tilde = line(7, "T_tilde", x_tilde == hyperparameters.mask_token)
    T_tilde = T_tilde & _within(x, lengths)
    logits = e_transformer_logits(x_tilde, params, hyperparameters, lengths)
    return scored(logits, jnp.where(T_tilde, x, 0), T_tilde, 8, mean)


def mask_tokens(key, x, hyperparameters, mask_probability):
    """Lines 4 to 6 of Algorithm 12: each token of `x` (..., ℓ) replaced by mask_token with the given probability."""
    replaced = jax.random.uniform(key, x.shape) < mask_probability
    return line(5, "x_tilde", jnp.where(replaced, hyperparameters.mask_token, x))


def _train(
    loss: Callable, params: Any, data: Any, epochs: int, optimizer: Any, state: Any, batch_size: int, update_line: int
) -> tuple[Any, History]:
    """Algorithms 11 to 13 with their `loss(params, i, n, a batch of data)` given: a scan over epochs and batches."""
    state = optimizer.init(params) if state is None else state
    data = jax.tree.map(lambda a: a if batch_size == 1 else a.reshape(-1, batch_size, *a.shape[1:]), data)
    updates_per_epoch = len(jax.tree.leaves(data)[0])

    def update(carry, batch):
        params, state, i = carry
        n, batch = batch
        value, gradient = jax.value_and_grad(loss)(params, i, n, batch)
        changes, state = optimizer.update(gradient, state, params)
        params = jax.tree.map(lambda W, change: W + change.astype(W.dtype), params, changes)
        params = line(update_line, "theta", params)
        return (params, state, i), value

    def epoch(carry, i):
        (params, state, _), losses = lax.scan(update, (*carry, i), (jnp.arange(updates_per_epoch), data))
        return (params, state), losses

    (params, state), losses = lax.scan(epoch, (params, state), jnp.arange(epochs))
    return params, History(losses, state)


def _require_training(function, data, epochs, batch_size, params):
    refuse_nan(function, {"params": params})
    for name, array in data.items():
        if jnp.ndim(array) != 2:
            raise ValueError(f"{function}: {name} has shape {jnp.shape(array)}, expected (N_data, ℓ), sequences padded")
    counts = {name: len(array) for name, array in data.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"{function}: " + " and ".join(f"{name} has {n}" for name, n in counts.items()) + " sequences")
    N_data = next(iter(counts.values()))
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0:
        raise ValueError(f"{function}: epochs is {epochs!r}, expected an integer of at least 0")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1 or N_data % batch_size:
        raise ValueError(f"{function}: batch_size is {batch_size!r}, expected a divisor of N_data = {N_data}")


def _ed_training_requires(z, x, params, hyperparameters, epochs, batch_size, z_lengths, x_lengths, **_):
    _require_training("ed_training", {"z": z, "x": x}, epochs, batch_size, params)
    return ed_requires(z, x, params, hyperparameters, z_lengths, x_lengths, function="ed_training")


_STATIC = ("hyperparameters", "epochs", "optimizer", "batch_size", "mean", "history")


@algorithm(_ed_training_requires, static=_STATIC)
def ed_training(
    z,
    x,
    params,
    hyperparameters,
    *,
    epochs,
    optimizer,
    z_lengths=None,
    x_lengths=None,
    batch_size=1,
    mean=False,
    optimizer_state=None,
    history=False,
):
    """Algorithm 11: trains an encoder-decoder transformer on pairs of sequences.

    Args:
      z: (N_data, ℓ_z) contexts. x: (N_data, ℓ_x) sequences to predict, which begin with bos_token.
      params: initial θ, `EDTransformerParameters`. hyperparameters: `EDTransformerHyperparameters`.
      epochs: N_epochs. optimizer: an optax transformation; `optax.sgd(eta)` is the printed algorithm.
      z_lengths, x_lengths: (N_data,) real tokens of each right-padded sequence.
      batch_size: sequences to an update; the paper's is 1. mean: average the loss instead of summing it.
      optimizer_state: to go on from an earlier call. history: also return the `History`.
    Returns:
      The trained θ, or (θ, `History`) if `history`.
    Raises:
      TypeError, ValueError: as `ed_transformer`; and for counts that do not fit, or nan in the parameters.
    """
    line(3, "l", jnp.full(len(x), x.shape[-1]) if x_lengths is None else x_lengths)

    def loss(params, i, n, batch):
        z_n, x_n, l_z, l_x = batch
        return ed_loss(params, z_n, x_n, hyperparameters, l_z, l_x, mean=mean)

    data = (z, x, z_lengths, x_lengths)
    params, log = _train(loss, params, data, epochs, optimizer, optimizer_state, batch_size, update_line=6)
    return (params, log) if history else params


def _e_training_requires(x, params, hyperparameters, epochs, mask_probability, key, batch_size, lengths, **_):
    _require_training("e_training", {"x": x}, epochs, batch_size, params)
    if is_concrete(mask_probability) and not 0 < float(mask_probability) < 1:
        raise ValueError(f"e_training: mask_probability is {mask_probability}, expected a number inside (0, 1)")
    if hyperparameters.N_V < 3:
        raise ValueError(f"e_training: N_V is {hyperparameters.N_V}, and a vocabulary with a mask_token has at least 3")
    return e_requires(x, params, hyperparameters, lengths, function="e_training")


@algorithm(_e_training_requires, static=_STATIC)
def e_training(
    x,
    params,
    hyperparameters,
    *,
    epochs,
    optimizer,
    mask_probability,
    key,
    lengths=None,
    batch_size=1,
    mean=False,
    optimizer_state=None,
    history=False,
):
    """Algorithm 12: trains an encoder-only transformer on masked words.

    Args:
      x: (N_data, ℓ) sequences.
      params: initial θ, `ETransformerParameters`. hyperparameters: `ETransformerHyperparameters`.
      epochs: N_epochs. optimizer: an optax transformation; `optax.sgd(eta)` is the printed algorithm.
      mask_probability: p_mask, inside (0, 1). key: a fresh mask is drawn for each epoch i and update n, from
        `fold_in(fold_in(key, i), n)`.
      lengths: (N_data,) real tokens of each right-padded sequence.
      batch_size: sequences to an update; the paper's is 1. mean: average the loss instead of summing it.
      optimizer_state: to go on from an earlier call. history: also return the `History`.
    Returns:
      The trained θ, or (θ, `History`) if `history`.
    Raises:
      TypeError, ValueError: as `e_transformer`; and for counts that do not fit, a probability outside (0, 1), or nan in
        the parameters.
    """
    line(3, "l", jnp.full(len(x), x.shape[-1]) if lengths is None else lengths)

    def loss(params, i, n, batch):
        x_n, l = batch
        x_tilde = mask_tokens(jax.random.fold_in(jax.random.fold_in(key, i), n), x_n, hyperparameters, mask_probability)
        return e_loss(params, x_tilde, x_n, hyperparameters, l, mean=mean)

    data = (x, lengths)
    params, log = _train(loss, params, data, epochs, optimizer, optimizer_state, batch_size, update_line=10)
    return (params, log) if history else params


def _d_training_requires(x, params, hyperparameters, epochs, batch_size, lengths, **_):
    _require_training("d_training", {"x": x}, epochs, batch_size, params)
    return d_requires(x, params, hyperparameters, lengths, function="d_training")


@algorithm(_d_training_requires, static=_STATIC)
def d_training(
    x,
    params,
    hyperparameters,
    *,
    epochs,
    optimizer,
    lengths=None,
    batch_size=1,
    mean=False,
    optimizer_state=None,
    history=False,
):
    """Algorithm 13: trains a decoder-only transformer on next-token prediction.

    Args:
      x: (N_data, ℓ) sequences, which begin with bos_token if its factor of the chain rule is to be 1 (E19).
      params: initial θ, `DTransformerParameters`. hyperparameters: `DTransformerHyperparameters`.
      epochs: N_epochs. optimizer: an optax transformation; `optax.sgd(eta)` is the printed algorithm.
      lengths: (N_data,) real tokens of each right-padded sequence.
      batch_size: sequences to an update; the paper's is 1. mean: average the loss instead of summing it.
      optimizer_state: to go on from an earlier call. history: also return the `History`.
    Returns:
      The trained θ, or (θ, `History`) if `history`.
    Raises:
      TypeError, ValueError: as `d_transformer`; and for counts that do not fit, or nan in the parameters.
    """
    line(3, "l", jnp.full(len(x), x.shape[-1]) if lengths is None else lengths)

    def loss(params, i, n, batch):
        x_n, l = batch
        return d_loss(params, x_n, hyperparameters, l, mean=mean)

    data = (x, lengths)
    params, log = _train(loss, params, data, epochs, optimizer, optimizer_state, batch_size, update_line=6)
    return (params, log) if history else params
