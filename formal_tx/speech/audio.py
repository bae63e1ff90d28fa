"""Sound from WAV files, at the rate of 16 kHz that Whisper hears."""

import os
import wave
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
Sound = NDArray[np.float32]


def read_wav(path: str | os.PathLike[str], *, resample: bool = False) -> Sound:
    """The sound in a WAV file.

    Args:
      path: whole numbers of 8, 16, 24 or 32 bits. The mean of several channels is taken.
      resample: whether to resample what is not at 16 kHz; it is refused otherwise: sound of 8 kHz (telephones) lacks
        what a model trained on 16 kHz listens for.
    Returns:
      (S,) float32 between -1 and 1, at 16 kHz.
    Raises:
      OSError: the file cannot be read.
      ValueError: it is no WAV file, or one of floats, or compressed; it is empty or cut short; or it has another rate.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate, frames = file.getparams()[:4]
            content = file.readframes(frames)
    except (wave.Error, EOFError) as error:
        reason = str(error) or "it ends too early"
        raise ValueError(f"{path} is no WAV file of whole numbers (PCM): {reason}") from None
    if not frames:
        raise ValueError(f"{path} is empty: it has no samples")
    if len(content) != frames * channels * width:
        held = len(content) // (channels * width)
        raise ValueError(f"{path} has been cut short: it says {frames} samples, and has {held}")
    if rate != RATE and not resample:
        raise ValueError(f"{path} has {rate} samples a second, expected {RATE}; resample=True would resample them")
    sound = _numbers(content, width).reshape(-1, channels).mean(axis=1)
    return resampled(sound, rate).astype(np.float32)


def _numbers(content: bytes, width: int) -> NDArray[np.float64]:
    """Whole numbers of 1 to 4 bytes as numbers between -1 and 1; those of one byte count from 128."""
    if width == 1:
        return (np.frombuffer(content, np.uint8).astype(float) - 128) / 128
    # Each number goes into the upper bytes of one of four, which keeps its sign.
    wide = np.zeros((len(content) // width, 4), np.uint8)
    wide[:, 4 - width :] = np.frombuffer(content, np.uint8).reshape(-1, width)
    return wide.reshape(-1).view("<i4") / 2.0**31


def require_sound(function: str, sound: object) -> Sound:
    """Sound (S,) as float32.

    Raises:
      TypeError: it is no array of floats. ValueError: it has other axes, no samples, nan, or numbers beyond ±1.
    """
    array = np.asarray(sound)
    if array.dtype.kind != "f":
        raise TypeError(f"{function}: sound has dtype {array.dtype}, expected floats between -1 and 1")
    if array.ndim != 1:
        raise ValueError(f"{function}: sound has shape {array.shape}, expected (S,): take the mean of channels")
    if not array.size:
        raise ValueError(f"{function}: sound is empty")
    if not np.isfinite(array).all():
        i = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{function}: sound[{i}] is {array[i]}, expected finite numbers")
    if np.abs(array).max() > _LOUDEST:
        i = int(np.abs(array).argmax())
        raise ValueError(f"{function}: sound[{i}] is {array[i]:.4g}, expected numbers between -1 and 1")
    return array.astype(np.float32)


_LOUDEST = 2  # resampling and mixing go a little beyond 1; whole numbers that were not divided go far beyond


def resampled(sound: NDArray[np.floating], rate: int, to: int = RATE) -> NDArray[np.floating]:
    """Sound at another rate, by the sinc under a Kaiser window (β = 8.6) of 32 zero crossings.

    Args:
      sound: (S,), at `rate` samples a second.
    Returns:
      (⌈S · to / rate⌉,), at `to` samples a second. What is above half of the lower rate is gone, by 80 dB and more.
    """
    if rate == to:
        return sound
    up, down = to // gcd(rate, to), rate // gcd(rate, to)
    slower = min(1.0, up / down) * 0.95  # the transition lies below the edge
    reach = int(np.ceil(16 / slower))
    n = np.arange(-(-len(sound) * up // down))
    padded = np.pad(sound.astype(float), reach)
    taps = np.arange(-reach + 1, reach + 1)
    offset = taps[None, :] - np.arange(up)[:, None] / up  # from each sample to the new one, in each of its phases
    weights = slower * np.sinc(slower * offset) * _kaiser(offset / reach)
    parts = []
    for block in np.array_split(n, max(1, len(n) // 50_000)):
        near = (block * down // up)[:, None] + taps + reach
        parts.append(np.einsum("nk,nk->n", padded[near], weights[block * down % up]))
    return np.concatenate(parts)


def _kaiser(u: NDArray[np.floating], beta: float = 8.6) -> NDArray[np.floating]:
    """The Kaiser window at u, between -1 and 1."""
    return np.i0(beta * np.sqrt(np.maximum(1 - u**2, 0))) / np.i0(beta)
