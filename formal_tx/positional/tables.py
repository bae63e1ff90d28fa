"""Positional tables (l_max, d_e) that are computed, not learned: 0-based positions, base 10000."""

import numpy as np


def _angles(l_max: int, d_e: int, last: int) -> np.ndarray:
    """t · 10000^(-i / last) for the positions t and i = 0 … d_e/2 - 1."""
    if d_e % 2:
        raise ValueError(f"sinusoidal positions: d_e is {d_e}, expected an even number")
    return np.arange(l_max)[:, None] * 10000.0 ** (-np.arange(d_e // 2) / max(last, 1))[None, :]


def interleaved_sinusoids(l_max: int, d_e: int) -> np.ndarray:
    """Section 3.5 of 1706.03762: sin(t / 10000^(2i/d_e)) in feature 2i, its cosine in feature 2i + 1.

    Raises:
      ValueError: if d_e is odd.
    """
    angles = _angles(l_max, d_e, d_e // 2)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(l_max, d_e)


def sinusoid_halves(l_max: int, d_e: int) -> np.ndarray:
    """The same numbers, all sines before all cosines: Marian.

    Raises:
      ValueError: if d_e is odd.
    """
    angles = _angles(l_max, d_e, d_e // 2)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)


def whisper_sinusoids(l_max: int, d_e: int) -> np.ndarray:
    """Sines before cosines, of which the slowest has base 10000 exactly: the exponent is i / (d_e/2 - 1). Whisper.

    Raises:
      ValueError: if d_e is odd.
    """
    angles = _angles(l_max, d_e, d_e // 2 - 1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
