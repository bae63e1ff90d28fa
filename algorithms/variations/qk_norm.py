"""QK-norm: Q <- qk_norm(Q | gamma): RMSNorm of queries, or of keys, before they turn

Input:           Q, a list of H matrices (d_attn, l), the queries or the keys of all heads
Output:          Q, the same
Parameters:      gamma (d_attn,), the same for all heads; or (H, d_attn)
Hyperparameters: epsilon, added to the mean square
"""

from numpy import concatenate, sqrt


def qk_norm(Q, gamma, epsilon=0):
    """Over the features of each head: Qwen 3."""
    Q = [Q_h / sqrt((Q_h**2).mean(axis=0) + epsilon) * gamma[:, None] for Q_h in Q]                     # 1
    return Q


def qk_norm_of_all_heads(Q, gamma, epsilon=0):
    """Over the features of all heads together: OLMo 2."""
    r = sqrt((concatenate(Q) ** 2).mean(axis=0) + epsilon)                                              # 1
    Q = [Q[h] / r * gamma[h][:, None] for h in range(len(Q))]                                           # 2
    return Q
