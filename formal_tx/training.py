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
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from .architectures import (
    d_requires,
    d_transformer_logits,
    e_requires,
    e_transformer_logits,
    ed_requires,
    ed_transformer_logits,
    length_of,
    token_sequences,
)
from .contracts import algorithm, is_concrete, refuse_nan
from .hyperparameters import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
)
from .linear import aligned
from .parameters import DTransformerParameters, EDTransformerParameters, ETransformerParameters
from .tagging import line
from .validation import (
    as_arrays,
    require_count,
    require_flags,
    require_key,
    require_number,
    same_shapes,
)


@struct.dataclass
class History:
    """What training leaves behind besides θ.

    Attributes:
      loss: (epochs, N_data / batch_size) the loss of each update, before it.
      optimizer_state: to go on from, as `optimizer_state=history.optimizer_state`.
    """

    loss: jax.Array
    optimizer_state: Any


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
    counted = _within(targets, None if lengths is None else lengths - 1)
    return jnp.where(counted, targets, 0), counted


def _within(x: jax.Array, lengths: jax.Array | None) -> jax.Array:
    """Which tokens of `x` (..., ℓ) are real: all of them, or the first `lengths` (...)."""
    if lengths is None:
        return jnp.ones(x.shape, bool)
    return aligned(jnp.arange(x.shape[-1]), x) < lengths[..., None]


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


def _require_mask_token(function, hyperparameters):
    if hyperparameters.N_V < 3:
        raise ValueError(f"{function}: N_V is {hyperparameters.N_V}, a vocabulary with a mask_token has at least 3")


def _e_loss_requires(params, x_tilde, x, hyperparameters, lengths, mean):
    name = "e_loss"
    require_flags(name, mean=mean)
    canonical = e_requires(x, params, hyperparameters, lengths, function=name)
    _require_mask_token(name, hyperparameters)
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
    T_tilde = T_tilde & _within(x, lengths)
    return line(9, "loss", scored(log_P, jnp.where(T_tilde, x, 0), T_tilde, mean))


def mask_tokens(key, x, hyperparameters, mask_probability):
    """Lines 4 to 6 of Algorithm 12: each token of `x` (..., ℓ) replaced by mask_token with the given probability."""
    replaced = jax.random.uniform(key, x.shape, jnp.float32) < mask_probability
    return line(5, "x_tilde", jnp.where(replaced, hyperparameters.mask_token, x))


def plus(theta: Any, changes: Any) -> Any:
    """θ + changes, in the dtype of θ; the changes of gradient descent are -η ∇loss(θ)."""
    return jax.tree.map(lambda W, change: W + change.astype(W.dtype), theta, changes)


def _train(
    loss: Callable, updated: Callable, params: Any, data: Any, epochs: int, optimizer: Any, state: Any, batch_size: int
) -> tuple[Any, History]:
    """Algorithms 11 to 13 with their loss given: a scan over epochs and over the batches of an epoch.

    Args:
      loss: of (params, epoch i, update n, a batch of data). updated: θ and its changes added, and tagged.
      data: arrays with a leading axis N_data; the last two are the sequences to predict and their lengths.
    """
    state = optimizer.init(params) if state is None else state
    data = jax.tree.map(lambda a: a if batch_size == 1 else a.reshape(-1, batch_size, *a.shape[1:]), data)
    updates_per_epoch = len(jax.tree.leaves(data)[0])

    def update(carry, batch):
        params, state, i = carry
        n, batch = batch
        line(3, "l", length_of(*batch[-2:]))
        value, gradient = jax.value_and_grad(loss)(params, i, n, batch)
        changes, state = optimizer.update(gradient, state, params)
        return (updated(params, changes), state, i), value

    def epoch(carry, i):
        (params, state, _), losses = lax.scan(update, (*carry, i), (jnp.arange(updates_per_epoch), data))
        return (params, state), losses

    (params, state), losses = lax.scan(epoch, (params, state), jnp.arange(epochs))
    return params, History(losses, state)


def _training_requires(function, data, params, epochs, optimizer, optimizer_state, batch_size, **flags):
    """What the three of them require besides what their architecture does; gives the counts as integers."""
    refuse_nan(function, {"params": params})
    for name, array in data.items():
        if array.ndim != 2:
            raise ValueError(f"{function}: {name} has shape {array.shape}, expected (N_data, ℓ), sequences padded")
    epochs = require_count(function, "epochs", epochs, at_least=0)
    batch_size = require_count(function, "batch_size", batch_size, at_least=1)
    N_data = len(next(iter(data.values())))
    if N_data % batch_size:
        raise ValueError(f"{function}: batch_size is {batch_size}, expected a divisor of N_data = {N_data}")
    require_flags(function, **flags)
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(
            f"{function}: optimizer is of type {type(optimizer).__name__}, expected an optax transformation such as "
            "optax.sgd(eta)"
        )
    if optimizer_state is not None and not same_shapes(optimizer_state, jax.eval_shape(optimizer.init, params)):
        raise ValueError(f"{function}: optimizer_state is not one of this optimizer for these parameters")
    return {"params": params, "epochs": epochs, "batch_size": batch_size}


def _ed_training_requires(z, x, params, hyperparameters, z_lengths, x_lengths, **options):
    name = "ed_training"
    counts = {
        sequences: array.shape[0]
        for sequences, array in zip("zx", as_arrays(name, z=z, x=x), strict=True)
        if array.ndim == 2
    }
    if len(set(counts.values())) > 1:
        raise ValueError(f"{name}: z has {counts['z']} and x has {counts['x']} sequences, expected as many")
    canonical = ed_requires(z, x, params, hyperparameters, z_lengths, x_lengths, function=name)
    data = {"z": canonical["z"], "x": canonical["x"]}
    return canonical | _training_requires(name, data, canonical["params"], **options)


_STATIC = ("hyperparameters", "epochs", "optimizer", "batch_size", "mean", "history")


@algorithm(_ed_training_requires, static=_STATIC)
def ed_training(
    z: Int[Array, "N_data l_z"],
    x: Int[Array, "N_data l_x"],
    params: EDTransformerParameters,
    hyperparameters: EDTransformerHyperparameters,
    *,
    epochs: int,
    optimizer: Any,
    z_lengths: Int[Array, "N_data"] | None = None,
    x_lengths: Int[Array, "N_data"] | None = None,
    batch_size: int = 1,
    mean: bool = False,
    optimizer_state: Any = None,
    history: bool = False,
) -> Any:
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

    def loss(params, i, n, batch):
        z_n, l_z, x_n, l_x = batch
        return ed_loss(params, z_n, x_n, hyperparameters, l_z, l_x, mean=mean)

    data = (z, z_lengths, x, x_lengths)

    def updated(theta, changes):
        return line(6, "theta", plus(theta, changes))

    params, log = _train(loss, updated, params, data, epochs, optimizer, optimizer_state, batch_size)
    params = line(9, "theta_hat", params)
    return (params, log) if history else params


def _e_training_requires(x, params, hyperparameters, mask_probability, key, lengths, **options):
    name = "e_training"
    canonical = e_requires(x, params, hyperparameters, lengths, function=name)
    _require_mask_token(name, hyperparameters)
    require_number(name, "mask_probability", mask_probability)
    if is_concrete(mask_probability) and not 0 < float(mask_probability) < 1:
        raise ValueError(f"{name}: mask_probability is {mask_probability}, expected a number inside (0, 1)")
    x, params, lengths = canonical["x"], canonical["params"], canonical["lengths"]
    if not is_concrete(x, mask_probability, lengths):
        # Nothing may be masked, or a bad id may be masked in every update: the loss would not give them away.
        known = (x < hyperparameters.N_V) | ~_within(x, lengths)
        legal = (mask_probability > 0) & (mask_probability < 1) & known.all()
        params = jax.tree.map(lambda W: jnp.where(legal, W, jnp.nan), params)
    canonical = canonical | _training_requires(name, {"x": x}, params, **options)
    return canonical | {"key": require_key(name, key)}


@algorithm(_e_training_requires, static=_STATIC)
def e_training(
    x: Int[Array, "N_data l"],
    params: ETransformerParameters,
    hyperparameters: ETransformerHyperparameters,
    *,
    epochs: int,
    optimizer: Any,
    mask_probability: Any,
    key: PRNGKeyArray,
    lengths: Int[Array, "N_data"] | None = None,
    batch_size: int = 1,
    mean: bool = False,
    optimizer_state: Any = None,
    history: bool = False,
) -> Any:
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

    def loss(params, i, n, batch):
        x_n, l = batch
        x_tilde = mask_tokens(jax.random.fold_in(jax.random.fold_in(key, i), n), x_n, hyperparameters, mask_probability)
        return e_loss(params, x_tilde, x_n, hyperparameters, l, mean=mean)

    data = (x, lengths)

    def updated(theta, changes):
        return line(10, "theta", plus(theta, changes))

    params, log = _train(loss, updated, params, data, epochs, optimizer, optimizer_state, batch_size)
    params = line(13, "theta_hat", params)
    return (params, log) if history else params


def _d_training_requires(x, params, hyperparameters, lengths, **options):
    name = "d_training"
    canonical = d_requires(x, params, hyperparameters, lengths, function=name)
    return canonical | _training_requires(name, {"x": canonical["x"]}, canonical["params"], **options)


@algorithm(_d_training_requires, static=_STATIC)
def d_training(
    x: Int[Array, "N_data l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    *,
    epochs: int,
    optimizer: Any,
    lengths: Int[Array, "N_data"] | None = None,
    batch_size: int = 1,
    mean: bool = False,
    optimizer_state: Any = None,
    history: bool = False,
) -> Any:
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

    def loss(params, i, n, batch):
        x_n, l = batch
        return d_loss(params, x_n, hyperparameters, l, mean=mean)

    data = (x, lengths)

    def updated(theta, changes):
        return line(6, "theta", plus(theta, changes))

    params, log = _train(loss, updated, params, data, epochs, optimizer, optimizer_state, batch_size)
    params = line(9, "theta_hat", params)
    return (params, log) if history else params
