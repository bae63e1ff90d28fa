"""Algorithm 4: V_tilde <- attention(X, Z | W_qkv, Mask)

One masked self- or cross-attention head.
Input:            X (d_x, l_x), primary sequence, and Z (d_z, l_z), context sequence: a column for each token
Output:           V_tilde (d_out, l_x)
Parameters W_qkv: W_q (d_attn, d_x), b_q (d_attn,), W_k (d_attn, d_z), b_k (d_attn,), W_v (d_out, d_z), b_v (d_out,)
Hyperparameters:  Mask (l_z, l_x), true where token t_x may attend to token t_z (boolean: E15)

A token that may attend to nothing has a column 0/0: nan (E29).
"""

from numpy import inf, sqrt, where

from .notation import softmax


def attention(X, Z, W_qkv, Mask):
    W_q, b_q, W_k, b_k, W_v, b_v = W_qkv
    d_attn = len(b_q)
    Q = W_q @ X + b_q[:, None]                                                                          # 1
    K = W_k @ Z + b_k[:, None]                                                                          # 2
    V = W_v @ Z + b_v[:, None]                                                                          # 3
    S = K.T @ Q                                                                                         # 4
    S = where(Mask, S, -inf)                                                                            # 5
    V_tilde = V @ softmax(S / sqrt(d_attn))                                                             # 6
    return V_tilde
