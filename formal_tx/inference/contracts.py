"""What generating text requires: a prompt or context that fits the model, room for what follows, a number of tokens."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..architecture_contracts import (
    d_requires,
    require_hyperparameters,
    require_parameters,
    require_special_tokens,
    token_sequences,
)
from ..contracts import is_concrete, refuse_nan
from ..parameters import EDTransformerParameters
from ..validation import as_arrays, require_count
from .buckets import bucket, on_device, padded

NO_TOKEN = -1  # what a token is when its distribution is nan; embedding it gives nan again


def d_prompt(function: str, x: Any, params: Any, hyperparameters: Any, lengths: Any) -> tuple[Any, Any, Any]:
    """Prompts, parameters and lengths in canonical form."""
    require_hyperparameters(function, hyperparameters, "DTransformerHyperparameters")
    canonical = d_requires(on_device(x), params, hyperparameters, on_device(lengths), function=function)
    return canonical["x"], canonical["params"], canonical["lengths"]


def ed_context(function: str, z: Any, params: Any, hyperparameters: Any, z_lengths: Any) -> tuple[Any, Any, Any]:
    """Contexts, parameters and lengths in canonical form."""
    require_hyperparameters(function, hyperparameters, "EDTransformerHyperparameters")
    params = require_parameters(function, params, EDTransformerParameters, hyperparameters)
    z, z_lengths = token_sequences(function, "z", on_device(z), hyperparameters, on_device(z_lengths))
    require_special_tokens(function, hyperparameters, "bos and eos tokens")
    return z, params, z_lengths


def refuse_undrawn(function: str, tokens: Any, params: Any) -> None:
    """If a token is none because a parameter holds nan, say which one; tokens that cannot be seen may be such.

    Asked when the tokens are there: to look for nan beforehand takes as long as several of them.

    Raises:
      ValueError: names the parameter and the first index of a nan.
    """
    if not is_concrete(tokens) or (np.asarray(tokens) == NO_TOKEN).any():
        refuse_nan(function, {"params": params})


def bucketed(x: Any, lengths: Any, l_max: int) -> tuple[Any, Any]:
    """`x` (..., ℓ) padded to a bucket, and its lengths (...), or (), where it has none."""
    return padded(x, bucket(x.shape[-1], l_max)), np.asarray(x.shape[-1]) if lengths is None else lengths


def longest(x: Any, lengths: Any) -> int:
    """The length of the longest prompt, as far as it can be seen."""
    return int(np.max(lengths)) if lengths is not None and is_concrete(lengths) else x.shape[-1]


def require_room(function: str, x: Any, lengths: Any, length: int, l_max: int) -> None:
    """Raise `ValueError` unless `length` more tokens fit after the prompts: the last of them needs no position (E5)."""
    ℓ = longest(x, lengths)
    if ℓ + length - 1 > l_max:
        raise ValueError(
            f"{function}: a prompt of {ℓ} tokens and {length} more do not fit: ℓ + length - 1 = "
            f"{ℓ + length - 1} is more than l_max = {l_max}"
        )


def require_at_most(function: str, name: str, count: Any, l_max: int) -> int:
    """A number of tokens to decode, at least 1 and at most the model's l_max, which None stands for."""
    count = l_max if count is None else require_count(function, name, count, at_least=1)
    if count > l_max:
        raise ValueError(f"{function}: {name} is {count}, more than the model's l_max = {l_max}")
    return count


def require_tokens(function: str, name: str, tokens: Any, N_V: int) -> np.ndarray:
    """A few token ids, known beforehand.

    Raises:
      TypeError: if they are not integers. ValueError: if they are no sequence, or one is out of range.
    """
    if not is_concrete(tokens):
        raise TypeError(f"{function}: {name} is traced, expected token ids that are known beforehand")
    (array,) = as_arrays(function, **{name: tokens if np.size(tokens) else np.zeros(0, int)})
    array = np.asarray(array)
    if array.ndim != 1:
        raise ValueError(f"{function}: {name} has shape {array.shape}, expected a sequence of token ids")
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"{function}: {name} has dtype {array.dtype}, expected integers")
    for i, token in enumerate(array):
        if not 0 <= token < N_V:
            raise ValueError(f"{function}: {name}[{i}] is {token}, outside [0, N_V) = [0, {N_V})")
    return array.astype(np.int32)


def require_one(function: str, name: str, x: Any) -> None:
    """Raise `ValueError` unless `x` is one sequence, and `TypeError` unless its values can be seen."""
    if x.ndim != 1:
        raise ValueError(f"{function}: {name} has shape {x.shape}, expected one sequence")
    if not is_concrete(x):
        raise TypeError(f"{function}: {name} is traced, and tokens are given one by one: use it outside of jit")
