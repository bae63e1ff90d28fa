"""Shapes that few compilations serve: sequences are padded and cut on the host, to lengths that are powers of two.

Even `jnp.asarray` compiles for every shape; `jax.device_put` does not.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..contracts import is_concrete

SMALLEST = 16  # padding to so little costs nothing, and each power of two below it would be a compilation more


def bucket(n: int, most: int) -> int:
    """The next power of two of at least 16, but no more than `most`: there are log2(most) - 2 of them."""
    return min(max(SMALLEST, 1 << (n - 1).bit_length()), most)


def padded(x: Any, length: int) -> Any:
    """`x` (..., ℓ) with zeros up to `length`. Values that can be seen are padded by NumPy, which compiles nothing."""
    numpy = np if is_concrete(x) else jnp
    return numpy.pad(x, [*[(0, 0)] * (x.ndim - 1), (0, length - x.shape[-1])])


def cut(x: Any, length: int) -> Any:
    """The first `length` of the last axis, likewise."""
    return jax.device_put(np.asarray(x)[..., :length]) if is_concrete(x) else x[..., :length]


def on_device(ids: Any) -> Any:
    """Integers that can be seen as an array on the device; anything else as it is, for a check to refuse."""
    if isinstance(ids, jax.Array) or not is_concrete(ids):
        return ids
    try:
        array = np.asarray(ids)
    except ValueError:
        return ids
    narrow = np.iinfo(np.int32)
    if array.dtype.kind not in "iu" or not array.size or array.min() < narrow.min or array.max() > narrow.max:
        return ids
    return jax.device_put(array if array.dtype in (np.int32, np.int64) else array.astype(np.int32))
