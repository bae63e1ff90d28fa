"""LSH attention of the Reformer: Y <- lsh_attention(Q, V | R, Mask), 2001.04451

A token attends to those that fall into the same bucket as it does, in any of several rounds of hashing.
Input:           Q (d, l), queries that are keys too, and V (d_mid, l), a column for each token
Output:          Y (d_mid, l)
Parameters:      R, for each round a matrix (d, b / 2) of numbers drawn from N(0, 1): the bucket is one of b
Hyperparameters: m, the length of a chunk; Mask (l, l), true where token t_x may attend to token t_z
                 same_bucket, whether a token sees only those of its own bucket in its chunk and the one before
                 by_normaliser, whether rounds count in proportion to the sums of their exponentials, as in the paper,
                 and a pair that meets in N rounds counts once; if not their mean is taken
                 discourage_self, whether a token looks at itself only if it sees nobody else

The keys are the queries divided by their lengths. The defaults are the paper's. Without all three it is the form of the
package fast-transformers, in which tokens of one chunk see each other whatever their bucket, rounds are averaged, and
the first chunk sees itself alone, as here; in the code of the paper it sees the last chunk too. A query that is 0 has
no direction: its key is 0, and its bucket the first one. The last chunk is shorter where m does not divide l.
"""

from math import ceil

from numpy import argmax, argsort, array, concatenate, exp, eye, full, inf, log, maximum, sqrt, where, zeros

from ..notation import softmax

SELF = -1e5


def lsh_attention(Q, V, R, m, Mask, same_bucket=True, by_normaliser=True, discourage_self=True):
    d, l = Q.shape
    n = sqrt((Q**2).sum(axis=0))                                                                        # 1
    K = Q / where(n > 0, n, 1)                                                                          # 2
    order, sees = [], []
    for R_r in R:                                                                                       # 3
        H = R_r.T @ Q                                                                                   # 4
        b = argmax(concatenate([H, -H]), axis=0)                                                        # 5
        s = argsort(b, kind="stable")                                                                   # 6
        c = argsort(s) // m                                                                             # 7
        near = (c[None, :] - c[:, None] == 0) | (c[None, :] - c[:, None] == 1)                          # 8
        if same_bucket:                                                                                 # 9
            near = near & (b[:, None] == b[None, :])                                                    # 10
        #                                                                                           end # 11
        order.append(s)
        sees.append((near & Mask) | eye(l, dtype=bool))
    #                                                                                               end # 12
    N = sum(near.astype(int) for near in sees)                                                          # 13
    O, Z = [], []
    for s, see in zip(order, sees):                                                                     # 14
        o, z = zeros((len(V), l)), zeros(l)
        for i in range(ceil(l / m)):                                                                    # 15
            x = s[i * m : (i + 1) * m]                                                                  # 16
            y = s[max(i - 1, 0) * m : (i + 1) * m]                                                      # 17
            S = K[:, y].T @ Q[:, x] / sqrt(d)                                                           # 18
            if by_normaliser:                                                                           # 19
                S = S - where(y[:, None] == x[None, :], 0, log(maximum(N[y][:, x], 1)))                 # 20
            #                                                                                       end # 21
            if discourage_self:                                                                         # 22
                S = S + where(y[:, None] == x[None, :], SELF, 0)                                        # 23
            #                                                                                       end # 24
            S = where(see[y][:, x], S, -inf)                                                            # 25
            z[x] = log(exp(S - S.max(axis=0)).sum(axis=0)) + S.max(axis=0)                              # 26
            o[:, x] = V[:, y] @ softmax(S)                                                              # 27
        #                                                                                           end # 28
        O.append(o)
        Z.append(z)
    #                                                                                               end # 29
    w = softmax(array(Z)) if by_normaliser else full((len(R), l), 1 / len(R))                           # 30
    Y = sum(w[r] * O[r] for r in range(len(R)))                                                         # 31
    return Y
