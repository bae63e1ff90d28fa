"""Attention rollout: m <- rollout(A, first)

How much of each patch reaches the first token through all layers (2005.00928).
Input:           A, for each layer its attention by head, each (l, l): row t_x sums to one over t_z, as a column does in
                 eq. (2)
Output:          m (l - first,), the share of each patch, the largest being 1
Hyperparameters: first, how many tokens are no patches; fuse, how heads become one: mean, max or min; rho in [0, 1), the
                 share of the smallest entries that are discarded, of which the first token's for itself is never one
"""

from numpy import argsort, eye, mean


def rollout(A, first, fuse=mean, rho=0):
    l = A[0].shape[-1]
    R = eye(l)                                                                                          # 1
    for A_l in A:                                                                                       # 2
        F = fuse(A_l, axis=0)                                                                           # 3
        smallest = [i for i in argsort(F, axis=None, kind="stable")[: int(rho * l**2)] if i != 0]       # 4
        F.flat[smallest] = 0                                                                            # 5
        F = (F + eye(l)) / 2                                                                            # 6
        F = F / F.sum(axis=1)[:, None]                                                                  # 7
        R = F @ R                                                                                       # 8
    m = R[0, first:]                                                                                    # 9
    return m / m.max()                                                                                  # 10
