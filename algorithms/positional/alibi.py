"""ALiBi: S <- alibi(S | m), 2108.12409

A penalty in proportion to the distance between two tokens. It stands between lines 4 and 5 of Algorithm 4, whose
scores are divided by sqrt(d_attn) first.
Input:           S (l_z, l_x), the scores of a head
Output:          S (l_z, l_x)
Hyperparameters: m, the slope of the head

The paper has decoders, in which t_z <= t_x; in an encoder the distance is that on either side.
"""

from math import floor, log2

from numpy import array


def alibi(S, m):
    l_z, l_x = S.shape
    S = S.copy()                                                                                        # 1
    for t_z in range(l_z):                                                                              # 2
        for t_x in range(l_x):                                                                          # 3
            S[t_z, t_x] = S[t_z, t_x] - m * abs(t_x - t_z)                                              # 4
    #                                                                                          end, end # 5, 6
    return S                                                                                            # 7


def slopes(H, a=8):
    """The slopes (H,) of H heads: 2^(-a h / H) for h = 1 … H where H is a power of two.

    Otherwise those of the largest power of two below H, and then every second one of those of twice as many heads.
    """
    n = 2 ** floor(log2(H))                                                                             # 1
    m = [2 ** (-a * h / n) for h in range(1, n + 1)]                                                    # 2
    m = m + [2 ** (-a * h / (2 * n)) for h in range(1, 2 * n, 2)][: H - n]                              # 3
    return array(m)                                                                                     # 4
