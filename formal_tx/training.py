"""Algorithms 11, 12 and 13: training on pairs, on masked words, on the next token.

As printed: the loss is a sum over positions, each sequence makes one update, in the order given, and the optimiser is
`optax.sgd(eta)`. Batches, means, other optimisers and a `Practice` are options.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax
from jaxtyping import Array, Int, PRNGKeyArray

from .architecture_contracts import d_requires, e_requires, ed_requires, require_special_tokens
from .architectures import length_of
from .contracts import algorithm, is_concrete, refuse_nan
from .embedding import within
from .hyperparameters import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
)
from .losses import d_loss, e_loss, ed_loss
from .masking import mask_tokens
from .parameters import DTransformerParameters, EDTransformerParameters, ETransformerParameters
from .practice import AS_PRINTED, Practice
from .quantization import require_unquantized
from .tagging import line, stacked
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


def plus(theta: Any, changes: Any) -> Any:
    """θ + changes, in the dtype of θ; the changes of gradient descent are -η ∇loss(θ)."""
    return jax.tree.map(lambda W, change: W + change.astype(W.dtype), theta, changes)


def _train(
    loss: Callable,
    updated: Callable,
    params: Any,
    data: Any,
    epochs: int,
    optimizer: Any,
    state: Any,
    batch_size: int,
    practice: Practice,
) -> tuple[Any, History]:
    """Algorithms 11 to 13 with their loss given: a scan over epochs and over the batches of an epoch.

    Args:
      loss: of (params, epoch i, update n, a `Practice`, a batch of data). updated: θ and its changes added, and tagged.
      data: arrays with a leading axis N_data; the last two are the sequences to predict and their lengths.
    """
    state = optimizer.init(params) if state is None else state
    data = jax.tree.map(lambda a: a if batch_size == 1 else a.reshape(-1, batch_size, *a.shape[1:]), data)
    updates_per_epoch = len(jax.tree.leaves(data)[0])

    @stacked("updates")
    def update(carry, batch):
        params, state, i = carry
        n, batch = batch
        line(3, "l", length_of(*batch[-2:]))
        value, gradient = _value_and_grad(loss, practice.loss_scale)(params, i, n, practice.at(i, n), batch)
        changes, state = optimizer.update(gradient, state, params)
        return (updated(params, changes), state, i), value

    @stacked("epochs")
    def epoch(carry, i):
        (params, state, _), losses = lax.scan(update, (*carry, i), (jnp.arange(updates_per_epoch), data))
        return (params, state), losses

    (params, state), losses = lax.scan(epoch, (params, state), jnp.arange(epochs))
    return params, History(losses, state)


def _value_and_grad(loss: Callable, scale: float) -> Callable:
    """`jax.value_and_grad`, with the loss multiplied by `scale` on the way: for gradients too small for float16."""
    if scale == 1:
        return jax.value_and_grad(loss)

    def scaled(params, *arguments):
        value, gradient = jax.value_and_grad(lambda params: loss(params, *arguments) * scale)(params)
        return value / scale, jax.tree.map(lambda g: g / scale, gradient)

    return scaled


def _training_requires(function, data, params, epochs, optimizer, optimizer_state, batch_size, **flags):
    """What the three of them require besides what their architecture does; gives the counts as integers."""
    require_unquantized(function, params)
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


def _ed_training_requires(z, x, params, hyperparameters, z_lengths, x_lengths, practice, **options):
    name = "ed_training"
    counts = {
        sequences: array.shape[0]
        for sequences, array in zip("zx", as_arrays(name, z=z, x=x), strict=True)
        if array.ndim == 2
    }
    if len(set(counts.values())) > 1:
        raise ValueError(f"{name}: z has {counts['z']} and x has {counts['x']} sequences, expected as many")
    canonical = ed_requires(z, x, params, hyperparameters, z_lengths, x_lengths, practice, function=name)
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
    practice: Practice = AS_PRINTED,
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
      practice: dropout and the like (`Practice`), by default nothing; its key draws anew for each epoch and update.
      optimizer_state: to go on from an earlier call. history: also return the `History`.
    Returns:
      The trained θ, or (θ, `History`) if `history`.
    Raises:
      TypeError, ValueError: as `ed_transformer`; and for counts that do not fit, or nan in the parameters.
    """

    def loss(params, i, n, practice, batch):
        z_n, l_z, x_n, l_x = batch
        return ed_loss(params, z_n, x_n, hyperparameters, l_z, l_x, mean=mean, practice=practice)

    data = (z, z_lengths, x, x_lengths)

    def updated(theta, changes):
        return line(6, "theta", plus(theta, changes))

    params, log = _train(loss, updated, params, data, epochs, optimizer, optimizer_state, batch_size, practice)
    params = line(9, "theta_hat", params)
    return (params, log) if history else params


def _e_training_requires(
    x, params, hyperparameters, mask_probability, key, lengths, segments, masking, practice, **options
):
    name = "e_training"
    canonical = e_requires(x, params, hyperparameters, lengths, segments, practice, function=name)
    if not callable(masking):
        raise TypeError(
            f"{name}: masking is {masking!r}, expected a function such as mask_tokens or mask_tokens_as_bert"
        )
    require_special_tokens(name, hyperparameters, "a mask_token")
    require_number(name, "mask_probability", mask_probability)
    if is_concrete(mask_probability) and not 0 < float(mask_probability) < 1:
        raise ValueError(f"{name}: mask_probability is {mask_probability}, expected a number inside (0, 1)")
    x, params, lengths = canonical["x"], canonical["params"], canonical["lengths"]
    if not is_concrete(x, mask_probability, lengths):
        # Nothing may be masked, or a bad id may be masked in every update: the loss would not give them away.
        known = (x < hyperparameters.N_V) | ~within(x, lengths)
        legal = (mask_probability > 0) & (mask_probability < 1) & known.all()
        params = jax.tree.map(lambda W: jnp.where(legal, W, jnp.nan), params)
    canonical = canonical | _training_requires(name, {"x": x}, params, **options)
    return canonical | {"key": require_key(name, key)}


@algorithm(_e_training_requires, static=(*_STATIC, "masking"))
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
    segments: Int[Array, "N_data l"] | None = None,
    batch_size: int = 1,
    mean: bool = False,
    masking: Callable = mask_tokens,
    practice: Practice = AS_PRINTED,
    optimizer_state: Any = None,
    history: bool = False,
) -> Any:
    """Algorithm 12: trains an encoder-only transformer on masked words.

    Args:
      x: (N_data, ℓ) sequences.
      params: initial θ, `ETransformerParameters`. hyperparameters: `ETransformerHyperparameters`.
      epochs: N_epochs. optimizer: an optax transformation; `optax.sgd(eta)` is the printed algorithm.
      mask_probability: p_mask, inside (0, 1). key: a fresh mask is drawn for each epoch i and update n, from
        `fold_in(fold_in(key, i), n)`. masking: `mask_tokens` as printed, or `mask_tokens_as_bert` (masking.py).
      lengths: (N_data,) real tokens of each right-padded sequence.
      segments: (N_data, ℓ) numbers of the texts that share a sequence, as in `e_transformer_logits`.
      batch_size: sequences to an update; the paper's is 1. mean: average the loss instead of summing it.
      practice: dropout and the like (`Practice`), by default nothing; its key draws anew for each epoch and update.
      optimizer_state: to go on from an earlier call. history: also return the `History`.
    Returns:
      The trained θ, or (θ, `History`) if `history`.
    Raises:
      TypeError, ValueError: as `e_transformer`; and for counts that do not fit, a probability outside (0, 1), or nan in
        the parameters.
    """

    def loss(params, i, n, practice, batch):
        s, x_n, l = batch
        key_n = jax.random.fold_in(jax.random.fold_in(key, i), n)
        x_tilde, chosen = masking(key_n, x_n, hyperparameters, mask_probability)
        return e_loss(params, x_tilde, x_n, hyperparameters, l, segments=s, chosen=chosen, mean=mean, practice=practice)

    data = (segments, x, lengths)

    def updated(theta, changes):
        return line(10, "theta", plus(theta, changes))

    params, log = _train(loss, updated, params, data, epochs, optimizer, optimizer_state, batch_size, practice)
    params = line(13, "theta_hat", params)
    return (params, log) if history else params


def _d_training_requires(x, params, hyperparameters, lengths, segments, practice, **options):
    name = "d_training"
    canonical = d_requires(x, params, hyperparameters, lengths, segments, practice, function=name)
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
    segments: Int[Array, "N_data l"] | None = None,
    batch_size: int = 1,
    mean: bool = False,
    practice: Practice = AS_PRINTED,
    optimizer_state: Any = None,
    history: bool = False,
) -> Any:
    """Algorithm 13: trains a decoder-only transformer on next-token prediction.

    Args:
      x: (N_data, ℓ) sequences, which begin with bos_token if its factor of the chain rule is to be 1 (E19).
      params: initial θ, `DTransformerParameters`. hyperparameters: `DTransformerHyperparameters`.
      epochs: N_epochs. optimizer: an optax transformation; `optax.sgd(eta)` is the printed algorithm.
      lengths: (N_data,) real tokens of each right-padded sequence.
      segments: (N_data, ℓ) numbers of the texts that share a sequence, as in `d_transformer_logits`.
      batch_size: sequences to an update; the paper's is 1. mean: average the loss instead of summing it.
      practice: dropout and the like (`Practice`), by default nothing; its key draws anew for each epoch and update.
      optimizer_state: to go on from an earlier call. history: also return the `History`.
    Returns:
      The trained θ, or (θ, `History`) if `history`.
    Raises:
      TypeError, ValueError: as `d_transformer`; and for counts that do not fit, or nan in the parameters.
    """

    def loss(params, i, n, practice, batch):
        s, x_n, l = batch
        return d_loss(params, x_n, hyperparameters, l, segments=s, mean=mean, practice=practice)

    data = (segments, x, lengths)

    def updated(theta, changes):
        return line(6, "theta", plus(theta, changes))

    params, log = _train(loss, updated, params, data, epochs, optimizer, optimizer_state, batch_size, practice)
    params = line(9, "theta_hat", params)
    return (params, log) if history else params
