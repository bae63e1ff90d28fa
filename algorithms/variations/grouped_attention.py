"""Grouped-query attention: V_tilde <- grouped_attention(X, Z | W, Mask), 2305.13245

Algorithm 5 in which H / H_kv consecutive heads share keys and values, and what else varies in it.
Input:           X (d_x, l_x), primary sequence, and Z (d_z, l_z), context sequence: a column for each token
Output:          V_tilde (d_out, l_x)
Parameters W:    queries, for each h in [H] a pair W_q (d_attn, d_x), b_q (d_attn,);
                 keys_and_values, for each g in [H_kv] W_k (d_attn, d_z), b_k (d_attn,), W_v (d_mid, d_z), b_v (d_mid,);
                 W_o (d_out, H d_mid), b_o (d_out,); gamma_q and gamma_k of a QK-norm; norm, the gamma and beta
                 (H d_mid,) of sub-LN
Hyperparameters: Mask (l_z, l_x), the same for all heads
                 normalise, the QK-norm: of all queries and gamma_q, of all keys and gamma_k
                 rotate, of Q or K (d_attn, l) and the positions: `rotary`
                 scale, 1 / sqrt(d_attn) unless given
                 score, of scaled scores (l_z, l_x) and the head h: `alibi`, `relative_buckets`, `soft_cap`
                 inner, the norm of what W_o reads, which sub-LN alone has

With H_kv = H it is multi-head attention, with H_kv = 1 multi-query attention (1911.02150).
"""

from numpy import arange, concatenate, inf, sqrt, where

from ..notation import softmax


def as_it_is(A, *_):
    """What changes nothing."""
    return A


def grouped_attention(
    X, Z, W, Mask, normalise=as_it_is, rotate=as_it_is, scale=None, score=as_it_is, inner=as_it_is
):
    H, H_kv = len(W.queries), len(W.keys_and_values)
    d_attn = len(W.queries[0].b_q)
    scale = 1 / sqrt(d_attn) if scale is None else scale
    Q = [P.W_q @ X + P.b_q[:, None] for P in W.queries]                                                 # 1
    K = [P.W_k @ Z + P.b_k[:, None] for P in W.keys_and_values]                                         # 2
    V = [P.W_v @ Z + P.b_v[:, None] for P in W.keys_and_values]                                         # 3
    Q = [rotate(Q_h, arange(X.shape[1])) for Q_h in normalise(Q, W.gamma_q)]                            # 4
    K = [rotate(K_g, arange(Z.shape[1])) for K_g in normalise(K, W.gamma_k)]                            # 5
    Y = []
    for h in range(H):                                                                                  # 6
        g = h * H_kv // H
        S = K[g].T @ Q[h]                                                                               # 7
        S = where(Mask, score(scale * S, h), -inf)                                                      # 8
        Y_h = V[g] @ softmax(S)                                                                         # 9
        Y.append(Y_h)
    #                                                                                               end # 10
    Y = concatenate(Y)                                                                                  # 11
    Y = inner(Y, W.norm)                                                                                # 12
    V_tilde = W.W_o @ Y + W.b_o[:, None]                                                                # 13
    return V_tilde
