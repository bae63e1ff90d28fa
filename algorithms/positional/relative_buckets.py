"""Relative positions of T5: S <- relative_buckets(S | w), 1910.10683

Every distance has a bucket, and every head a learned score for a bucket, which is added. It stands between lines 4 and
5 of Algorithm 4.
Input:           S (l_z, l_x), the scores of a head
Output:          S (l_z, l_x)
Parameters:      w (N_B,), the head's score of each bucket
Hyperparameters: N_B, the number of buckets; furthest, the distance from which on all share the last one;
                 bidirectional, whether half of the buckets are for tokens that follow

T5 does not divide the scores by sqrt(d_attn), and has none of this in cross-attention.
"""

from math import floor, log


def relative_buckets(S, w, furthest=128, bidirectional=True):
    l_z, l_x = S.shape
    S = S.copy()                                                                                        # 1
    for t_z in range(l_z):                                                                              # 2
        for t_x in range(l_x):                                                                          # 3
            S[t_z, t_x] = S[t_z, t_x] + w[bucket(t_z - t_x, len(w), furthest, bidirectional)]           # 4
    #                                                                                          end, end # 5, 6
    return S                                                                                            # 7


def bucket(distance, N_B=32, furthest=128, bidirectional=True):
    """The bucket of a distance, which is positive where the key follows the query.

    The nearest half of the distances have buckets of their own, the others share them, in proportion to logarithms.
    """
    first = 0                                                                                           # 1
    if bidirectional:                                                                                   # 2
        N_B = N_B // 2                                                                                  # 3
        first = N_B if distance > 0 else 0                                                              # 4
        n = abs(distance)                                                                               # 5
    else:                                                                                               # 6
        n = max(-distance, 0)                                                                           # 7
    exact = N_B // 2                                                                                    # 8
    if n >= exact:                                                                                      # 9
        n = min(exact + floor(log(n / exact) / log(furthest / exact) * (N_B - exact)), N_B - 1)         # 10
    b = first + n                                                                                       # 11
    return b                                                                                            # 12
