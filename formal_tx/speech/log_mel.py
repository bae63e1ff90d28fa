"""Whisper's features of sound, as `algorithms/speech/log_mel.py` has them."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .audio import RATE, Sound, require_sound

N_FFT, HOP = 400, 160
FRAMES_A_SECOND = RATE // HOP
WINDOW_SECONDS = 30
WINDOW_SAMPLES, WINDOW_FRAMES = WINDOW_SECONDS * RATE, WINDOW_SECONDS * FRAMES_A_SECOND

_BREAK_HZ, _BREAK_MEL, _STEP = 1000.0, 15.0, np.log(6.4) / 27.0


def _mel(f: float) -> float:
    return f * _BREAK_MEL / _BREAK_HZ if f < _BREAK_HZ else _BREAK_MEL + np.log(f / _BREAK_HZ) / _STEP


def _hertz(m: NDArray[np.float64]) -> NDArray[np.float64]:
    high = _BREAK_HZ * np.exp(_STEP * (m - _BREAK_MEL))
    return np.where(m < _BREAK_MEL, m * _BREAK_HZ / _BREAK_MEL, high)


@cache
def mel_filters(n_mels: int) -> NDArray[np.float64]:
    """The filter bank (n_mels, 201): Slaney's mel scale from 0 to 8000 Hz, triangles of equal area."""
    p = _hertz(np.linspace(0, _mel(RATE / 2), n_mels + 2))
    f = np.linspace(0, RATE / 2, N_FFT // 2 + 1)
    width = np.diff(p)
    rise = (f[None, :] - p[:-2, None]) / width[:-1, None]
    fall = (p[2:, None] - f[None, :]) / width[1:, None]
    return np.maximum(0, np.minimum(rise, fall)) * (2 / (p[2:] - p[:-2]))[:, None]


def log_mel(sound: Sound, n_mels: int = 80) -> NDArray[np.float32]:
    """The features of a sound.

    Args:
      sound: (S,) at 16 kHz, between -1 and 1, of at least 201 samples.
      n_mels: 80, or 128 for the large models from the third on.
    Returns:
      (n_mels, S // 160), computed in float64. They depend on the loudest of the whole sound: features of a part are not
      the part of the features.
    Raises:
      TypeError, ValueError: the sound is none, or shorter than 201 samples, which cannot be reflected.
    """
    sound = require_sound("log_mel", sound)
    if len(sound) <= N_FFT // 2:
        raise ValueError(f"log_mel: sound has {len(sound)} samples, expected at least {N_FFT // 2 + 1}")
    padded = np.pad(sound, N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP][: len(sound) // HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    mels = np.empty((n_mels, len(frames)), np.float32)
    for start in range(0, len(frames), WINDOW_FRAMES):  # a window at a time: all of them may be gigabytes
        block = slice(start, start + WINDOW_FRAMES)
        power = np.abs(np.fft.rfft(frames[block] * hann)) ** 2
        mels[:, block] = np.log10(np.maximum(mel_filters(n_mels) @ power.T, 1e-10))
    if not mels.size:
        return mels
    return (np.maximum(mels, mels.max() - 8) + 4) / 4


def pad_or_trim(sound: NDArray[np.floating], length: int = WINDOW_SAMPLES) -> NDArray[np.floating]:
    """The last axis with zeros up to `length`, or cut to it: 30 s of sound."""
    rest = length - sound.shape[-1]
    if rest <= 0:
        return sound[..., :length]
    return np.pad(sound, [*[(0, 0)] * (sound.ndim - 1), (0, rest)])
