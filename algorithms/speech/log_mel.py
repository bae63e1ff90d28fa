"""Log-mel: L <- log_mel(y | F), the features that Whisper hears, 2212.04356

Input:           y (S,), sound at 16 kHz, numbers between -1 and 1, S >= 201
Output:          L (n_mels, S // 160), a column for each hundredth of a second
Parameters:      F (n_mels, 201), the filter bank: `mel_filters`
Hyperparameters: n_mels, 80 or 128

Frames are 400 samples wide and 160 apart. The frame in the middle of which sample 160 t stands is number t; at both
ends the sound is reflected about its first, and its last, sample. The last frame is not used.
"""

from math import log

from numpy import abs, arange, array, concatenate, cos, exp, log10, maximum, pi, zeros


def log_mel(y, F):
    l = len(y) // 160                                                                                   # 1
    w = 0.5 - 0.5 * cos(2 * pi * arange(400) / 400)                                                     # 2
    y = concatenate([y[200:0:-1], y, y[-2:-202:-1]])                                                    # 3
    P = zeros((201, l))                                                                                 # 4
    for t in range(l):                                                                                  # 5
        P[:, t] = abs(fourier(w * y[160 * t : 160 * t + 400])) ** 2                                     # 6
    #                                                                                               end # 7
    L = log10(maximum(F @ P, 1e-10))                                                                    # 8
    L = maximum(L, L.max() - 8)                                                                         # 9
    return (L + 4) / 4                                                                                  # 10


def fourier(y):
    """The first half of the discrete Fourier transform: c[k] = sum_n y[n] exp(-2 pi i k n / 400), k = 0 … 200."""
    n = arange(400)                                                                                     # 1
    return array([exp(-2j * pi * k * n / 400) @ y for k in range(201)])                                 # 2


def mel(f):
    """The pitch of the frequency f, in Slaney's mel: linear below 1000 Hz, logarithmic above."""
    if f < 1000:                                                                                        # 1
        return 3 * f / 200                                                                              # 2
    return 15 + 27 * log(f / 1000) / log(6.4)                                                           # 3


def frequency(m):
    """The frequency of the pitch m, the inverse of `mel`."""
    if m < 15:                                                                                          # 1
        return 200 * m / 3                                                                              # 2
    return 1000 * exp((m - 15) * log(6.4) / 27)                                                         # 3


def mel_filters(n_mels):
    """The filter bank F (n_mels, 201): triangles over frequencies of 0, 40, …, 8000 Hz, of equal area."""
    p = [frequency(i * mel(8000) / (n_mels + 1)) for i in range(n_mels + 2)]                            # 1
    F = zeros((n_mels, 201))                                                                            # 2
    for i in range(n_mels):                                                                             # 3
        for k in range(201):                                                                            # 4
            rise = (40 * k - p[i]) / (p[i + 1] - p[i])                                                  # 5
            fall = (p[i + 2] - 40 * k) / (p[i + 2] - p[i + 1])                                          # 6
            F[i, k] = max(0, min(rise, fall)) * 2 / (p[i + 2] - p[i])                                   # 7
    #                                                                                          end, end # 8, 9
    return F                                                                                            # 10
