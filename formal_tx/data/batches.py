"""Cutting data into the arrays that training takes; the paper says nothing of how (section 3).

`Windows` and `Buckets` are for corpora on disk, the functions for small data in memory.
"""

from collections.abc import Sequence

import numpy as np

from .buckets import Buckets
from .windows import Windows

__all__ = ["Buckets", "Windows", "consecutive", "padded", "windows"]


def windows(ids: np.ndarray, length: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` windows (count, length) of a long sequence of token ids, each from a random place.

    Raises:
      ValueError: if the sequence is shorter than one window.
    """
    if len(ids) < length:
        raise ValueError(f"a text of {len(ids)} tokens has no window of {length}")
    start = rng.integers(len(ids) - length + 1, size=count)
    return ids[start[:, None] + np.arange(length)]


def consecutive(ids: np.ndarray, length: int) -> np.ndarray:
    """The sequence cut into consecutive windows (n, length); what is left over at the end is dropped.

    Raises:
      ValueError: if the sequence is shorter than one window.
    """
    if len(ids) < length:
        raise ValueError(f"a text of {len(ids)} tokens has no window of {length}")
    return ids[: len(ids) // length * length].reshape(-1, length)


def padded(sequences: Sequence[Sequence[int]], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences as one array (n, length), right-padded with 0 or cut at `length`, and their lengths (n,)."""
    x = np.zeros((len(sequences), length), np.int32)
    lengths = np.array([min(len(s), length) for s in sequences], np.int32)
    for row, sequence, n in zip(x, sequences, lengths, strict=True):
        row[:n] = sequence[:n]
    return x, lengths
