"""Algorithm 2: Positional embedding

The vector that stands for a position.
Input:      t, a position, 0 <= t < l_max (the paper's box calls it l, which elsewhere is a length: E18)
Output:     e_p (d_e,), its embedding
Parameters: W_p (d_e, l_max), the positional embedding matrix, a column for each position
"""

from numpy import cos, sin, zeros


def positional_embedding(t, W_p):
    e_p = W_p[:, t]                                                                                     # 1
    return e_p


def sinusoidal_positions(d_e, l_max):
    """The hard-coded W_p (d_e, l_max) of section 5, as printed; d_e is even.

    W_p[2i-1, t] = sin(t / l_max^(2i/d_e)) and W_p[2i, t] = cos(t / l_max^(2i/d_e)), 0 < i <= d_e/2, t from 1.
    The paper credits Vaswani et al., whose base is 10000 and whose i and t start at 0 (E12). It is no numbered
    algorithm there; the numbers of its lines are ours.
    """
    W_p = zeros((d_e, l_max))                                                                           # 1
    for i in range(1, d_e // 2 + 1):                                                                    # 2
        for t in range(1, l_max + 1):                                                                   # 3
            W_p[2 * i - 2, t - 1] = sin(t / l_max ** (2 * i / d_e))                                     # 4
            W_p[2 * i - 1, t - 1] = cos(t / l_max ** (2 * i / d_e))                                     # 5
    #                                                                                          end, end # 6, 7
    return W_p                                                                                          # 8
