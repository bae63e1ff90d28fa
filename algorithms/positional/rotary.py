"""Rotary positions: Y <- rotary(X, t | theta), 2104.09864

Turns pairs of features of queries and keys by angles in proportion to their positions; scores then depend on the
difference of two positions alone. It stands between lines 1, 2 and 4 of Algorithm 4, and leaves values alone.
Input:           X (d_attn, l), queries or keys of a head: a column for each token; t (l,), the positions of the tokens
Output:          Y (d_attn, l)
Hyperparameters: theta (r/2,), the frequencies of the pairs, r <= d_attn: the features after the first r do not turn;
                 neighbours, whether the pairs are (0, 1), (2, 3), … (the paper, GPT-J) or (0, r/2), (1, r/2 + 1), …
                 (GPT-NeoX, Llama); size, what turned features are multiplied by: 1, but for YaRN

A pair of features is a complex number, and turning it is multiplying it by exp(i angle).
"""

from numpy import array, ceil, exp, floor, log, pi


def rotary(X, t, theta, neighbours=False, size=1):
    r = 2 * len(theta)
    Y = X.copy()                                                                                        # 1
    for i in range(r // 2):                                                                             # 2
        a, b = (2 * i, 2 * i + 1) if neighbours else (i, i + r // 2)                                    # 3
        z = size * (X[a] + 1j * X[b]) * exp(1j * theta[i] * t)                                          # 4
        Y[a] = z.real                                                                                   # 5
        Y[b] = z.imag                                                                                   # 6
    #                                                                                               end # 7
    return Y                                                                                            # 8


def frequencies(r, base=10000):
    """The frequencies of r/2 pairs, in radians a token."""
    theta = array([base ** (-2 * i / r) for i in range(r // 2)])                                        # 1
    return theta                                                                                        # 2


def linear_scaling(theta, factor):
    """Position interpolation, 2306.15595: as if every position were divided by the factor."""
    theta = theta / factor                                                                              # 1
    return theta                                                                                        # 2


def ntk_scaling(r, factor, base=10000):
    """NTK-aware scaling: another base, by which the slowest of the r/2 > 1 pairs is slowed down by the factor."""
    base = base * factor ** (r / (r - 2))                                                               # 1
    theta = frequencies(r, base)                                                                        # 2
    return theta                                                                                        # 3


def llama3_scaling(theta, factor, context, low=1, high=4):
    """Llama 3.1: slow pairs slow down by the factor, fast ones do not, those between are blended.

    `context` is the length trained with; a pair is slow that turns fewer than `low` times in it, and fast from `high`
    times on.
    """
    theta = theta.copy()                                                                                # 1
    for i in range(len(theta)):                                                                         # 2
        wavelength = 2 * pi / theta[i]                                                                  # 3
        if wavelength > context / low:                                                                  # 4
            theta[i] = theta[i] / factor                                                                # 5
        elif wavelength >= context / high:                                                              # 6
            smooth = (context / wavelength - low) / (high - low)                                        # 7
            theta[i] = (1 - smooth) * theta[i] / factor + smooth * theta[i]                             # 8
    #                                                                                               end # 9
    return theta                                                                                        # 10


def yarn_scaling(theta, factor, context, base=10000, slow=1, fast=32):
    """YaRN, 2309.00071, as the released code has it: the blend is a ramp over the pairs' numbers, its ends integers."""
    r = 2 * len(theta)
    first = max(floor(r * log(context / (fast * 2 * pi)) / (2 * log(base))), 0)                         # 1
    last = min(ceil(r * log(context / (slow * 2 * pi)) / (2 * log(base))), r - 1)                       # 2
    last = last if last > first else first + 0.001                                                      # 3
    ramp = [min(max((i - first) / (last - first), 0), 1) for i in range(r // 2)]                        # 4
    theta = array([(1 - ramp[i]) * theta[i] + ramp[i] * theta[i] / factor for i in range(r // 2)])      # 5
    return theta                                                                                        # 6


def yarn_size(factor):
    """What YaRN multiplies queries and keys by."""
    size = 0.1 * log(factor) + 1                                                                        # 1
    return size                                                                                         # 2
