"""Hard-coded positional tables W_p (d_e, l_max), a column for each position, counted from 0; d_e is even.

The print has another base and counts from 1: see `sinusoidal_positions` beside Algorithm 2 (E12).
"""

from numpy import cos, sin, zeros


def interleaved_sinusoids(d_e, l_max):
    """Section 3.5 of 1706.03762: W_p[2i, t] = sin(t / 10000^(2i/d_e)), W_p[2i+1, t] its cosine."""
    W_p = zeros((d_e, l_max))                                                                           # 1
    for i in range(d_e // 2):                                                                           # 2
        for t in range(l_max):                                                                          # 3
            W_p[2 * i, t] = sin(t / 10000 ** (2 * i / d_e))                                             # 4
            W_p[2 * i + 1, t] = cos(t / 10000 ** (2 * i / d_e))                                         # 5
    #                                                                                          end, end # 6, 7
    return W_p                                                                                          # 8


def sinusoid_halves(d_e, l_max):
    """All sines, then all cosines: Marian, Transformer-XL."""
    W_p = zeros((d_e, l_max))                                                                           # 1
    for i in range(d_e // 2):                                                                           # 2
        for t in range(l_max):                                                                          # 3
            W_p[i, t] = sin(t / 10000 ** (2 * i / d_e))                                                 # 4
            W_p[d_e // 2 + i, t] = cos(t / 10000 ** (2 * i / d_e))                                      # 5
    #                                                                                          end, end # 6, 7
    return W_p                                                                                          # 8


def whisper_sinusoids(d_e, l_max):
    """All sines, then all cosines, of which the slowest has the base 10000 itself: Whisper; d_e > 2."""
    W_p = zeros((d_e, l_max))                                                                           # 1
    for i in range(d_e // 2):                                                                           # 2
        for t in range(l_max):                                                                          # 3
            W_p[i, t] = sin(t / 10000 ** (i / (d_e // 2 - 1)))                                          # 4
            W_p[d_e // 2 + i, t] = cos(t / 10000 ** (i / (d_e // 2 - 1)))                               # 5
    #                                                                                          end, end # 6, 7
    return W_p                                                                                          # 8
