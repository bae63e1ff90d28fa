"""Clustered attention: Y <- clustered_attention(Q, K, V | C), 2007.04825, equations 3 to 6, and 8 to 11 improved

Queries that are alike get nearly the same answer, so they are put into C clusters, and the mean of a cluster asks for
all of its members: C rows of scores instead of l_x. Clusters are those of k-means among hashes of the queries, of which
the distance is the number of bits that differ. The improved form has every query ask the k keys that its cluster thinks
the most of, and keeps what the cluster gives to these and to the others.
Input:           Q (E, l_x), K (E, l_z), V (D, l_z), a column for each token
Output:          Y (D, l_x)
Hyperparameters: C <= l_x clusters; iterations >= 1; k <= l_z
Random numbers:  planes (bits, E + 1), normal, the last of a row its offset; first (C,), different positions, whose
                 hashes are the first centroids; other (iterations - 1, bits, C), centroids of empty clusters

A query sees every key: there is no mask. Clusters are of whole sequences, so that a causal one would know the future.
"""

from numpy import arange, argsort, concatenate, isin, ones, sqrt, where, zeros

from ..notation import softmax


def query_hashes(Q, planes):
    """B (bits, l): on which side of each plane every query is."""
    P = planes @ concatenate([Q, ones((1, Q.shape[1]))])                                                # 1
    B = P > 0                                                                                           # 2
    return B


def nearest(B, M):
    """c (l,): for every hash of B (bits, l) the centroid of M (bits, C) that it has most bits in common with."""
    D = (B[:, None, :] != M[:, :, None]).sum(axis=0)                                                    # 1
    c = D.argmin(axis=0)                                                                                # 2
    return c


def hamming_k_means(B, iterations, first, other):
    """c (l,), the cluster of every hash of B (bits, l). Of centroids as near as each other it is the first."""
    C = len(first)
    M = B[:, first]                                                                                     # 1
    c = nearest(B, M)                                                                                   # 2
    for i in range(iterations - 1):                                                                     # 3
        for j in range(C):                                                                              # 4
            members = B[:, c == j]
            M[:, j] = 2 * members.sum(axis=1) > members.shape[1] if (c == j).any() else other[i][:, j]  # 5
        c = nearest(B, M)                                                                               # 6
    #                                                                                          end, end # 7, 8
    return c


def clustered_attention(Q, K, V, iterations, planes, first, other):
    """The mean of a cluster asks, and its members share the answer."""
    E, C = len(Q), len(first)
    B = query_hashes(Q, planes)                                                                         # 1
    c = hamming_k_means(B, iterations, first, other)                                                    # 2
    Q_bar = zeros((E, C))
    for j in range(C):                                                                                  # 3
        Q_bar[:, j] = Q[:, c == j].sum(axis=1) / max(1, (c == j).sum())                                 # 4
    #                                                                                               end # 5
    A = softmax(K.T @ Q_bar / sqrt(E))                                                                  # 6
    Y_bar = V @ A                                                                                       # 7
    Y = Y_bar[:, c]                                                                                     # 8
    return Y


def improved_clustered_attention(Q, K, V, iterations, k, planes, first, other):
    """The same, but the weights of the k keys that a cluster attends to most are each member's own."""
    E, C = len(Q), len(first)
    D, l_z = V.shape
    B = query_hashes(Q, planes)                                                                         # 1
    c = hamming_k_means(B, iterations, first, other)                                                    # 2
    Q_bar = zeros((E, C))
    for j in range(C):                                                                                  # 3
        Q_bar[:, j] = Q[:, c == j].sum(axis=1) / max(1, (c == j).sum())                                 # 4
    #                                                                                               end # 5
    S = K.T @ Q_bar                                                                                     # 6
    A = softmax(S / sqrt(E))                                                                            # 7
    T = argsort(-S, axis=0, kind="stable")[:k]                                                          # 8
    rest = zeros((l_z, C))
    for j in range(C):                                                                                  # 9
        rest[:, j] = where(isin(arange(l_z), T[:, j]), 0, A[:, j])                                      # 10
    #                                                                                               end # 11
    Y = zeros((D, Q.shape[1]))
    for i in range(Q.shape[1]):                                                                         # 12
        j = c[i]
        t = T[:, j]
        a = (1 - rest[:, j].sum()) * softmax(K[:, t].T @ Q[:, i] / sqrt(E))                             # 13
        Y[:, i] = V @ rest[:, j] + V[:, t] @ a                                                          # 14
    #                                                                                               end # 15
    return Y


def clustered_mh_attention(X, Z, W, iterations, planes, first, other, k=None):
    """Algorithm 5 with such heads: X (d_x, l_x), Z (d_z, l_z), parameters W as there; improved where there is a k."""
    Y = []
    for W_h in W.heads:                                                                                 # 1
        Q = W_h.W_q @ X + W_h.b_q[:, None]                                                              # 2
        K = W_h.W_k @ Z + W_h.b_k[:, None]                                                              # 3
        V = W_h.W_v @ Z + W_h.b_v[:, None]                                                              # 4
        if k is None:                                                                                   # 5
            Y_h = clustered_attention(Q, K, V, iterations, planes, first, other)                        # 6
        else:
            Y_h = improved_clustered_attention(Q, K, V, iterations, k, planes, first, other)            # 7
        Y.append(Y_h)
    #                                                                                          end, end # 8, 9
    Y = concatenate(Y)                                                                                  # 10
    V_tilde = W.W_o @ Y + W.b_o[:, None]                                                                # 11
    return V_tilde
