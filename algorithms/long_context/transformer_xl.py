"""Transformer-XL: P <- transformer_xl(x | theta), 1901.02860

A decoder that reads a text segment by segment, attends to what its layers read of the segments before (the memory),
and knows how far away a token is, not where it stands, so that what is remembered stays valid.
Input:            x, a list of token ids, in segments of q tokens; q divides length(x)
Output:           P (N_V, length(x)), whose column t is the estimate of P(x[t+1] | what column t can see)
Parameters theta: decoder, those of Algorithm 10 without W_p: W_e (d_e, N_V), W_u (N_V, d_e), b_u (N_V,), layers, norm
                  u and v (H, d_attn), the same for all layers; W_r, for each layer (H, d_attn, d_e)
Hyperparameters:  q >= 1, the length of a segment; mem_len >= 0, how many tokens a layer remembers
                  clamp_len, the largest distance that is told apart
                  same_length, whether a token sees as many tokens as any other: mem_len, itself included
                  pre_norm, whether the norms stand before the sub-layers, as in Algorithm 10; the paper has them after

The score of a query at i for a key at j has four terms, (Q_i + u) . K_j + (Q_i + v) . P_(i-j): content, position, a
bias for content and one for position. Nothing is learnt through the memory: for gradients, M is a constant.
"""

from numpy import arange, column_stack, concatenate, cos, inf, minimum, sin, sqrt, where, zeros

from ..algorithm_06_layer_norm import layer_norm
from ..notation import ReLU, softmax
from ..variations.gated_mlp import mlp


def relative_positions(d_e, k, clamp_len=inf):
    """R (d_e, k), a column for each distance k - 1, ..., 1, 0: all sines, then all cosines."""
    distance = minimum(arange(k)[::-1], clamp_len)                                                      # 1
    omega = 10000 ** (-arange(d_e // 2) / (d_e // 2))                                                   # 2
    angle = omega[:, None] * distance[None, :]                                                          # 3
    R = concatenate([sin(angle), cos(angle)])                                                           # 4
    return R


def relative_shift(B):
    """B (k, q), whose row t is that of the distance k - 1 - t, to one whose row j is that of the j-th key.

    The distance of the i-th query to the j-th key is i + (k - q) - j. Where it is negative, what stands there is of no
    use, and is masked.
    """
    k, q = B.shape
    B = concatenate([zeros((1, q)), B])                                                                 # 1
    B = B.reshape(q, k + 1, order="F")                                                                  # 2
    B = B[:, 1:]                                                                                        # 3
    B = B.reshape(k, q, order="F")                                                                      # 4
    return B


def relative_attention(X, M, W, u, v, W_r, clamp_len=inf, window=inf):
    """MHAttention(X, [M X] | W) with the scores of Transformer-XL.

    X (d_e, q), the segment; M (d_e, m), what is remembered of the tokens before it, a constant for gradients.
    u, v (H, d_attn); W_r (H, d_attn, d_e). window, how many tokens a query sees, itself included.
    """
    d_e, q = X.shape
    m = M.shape[1]
    d_attn = len(u[0])
    C = concatenate([M, X], axis=1)                                                                     # 1
    distance = arange(q)[None, :] + m - arange(m + q)[:, None]                                          # 2
    Mask = (distance >= 0) & (distance < window)                                                        # 3
    R = relative_positions(d_e, m + q, clamp_len)                                                       # 4
    Y = []
    for h in range(len(W.queries)):                                                                     # 5
        g = h * len(W.keys_and_values) // len(W.queries)
        Q = W.queries[h].W_q @ X + W.queries[h].b_q[:, None]                                            # 6
        K = W.keys_and_values[g].W_k @ C + W.keys_and_values[g].b_k[:, None]                            # 7
        V = W.keys_and_values[g].W_v @ C + W.keys_and_values[g].b_v[:, None]                            # 8
        P = W_r[h] @ R                                                                                  # 9
        A = K.T @ (Q + u[h][:, None])                                                                   # 10
        B = relative_shift(P.T @ (Q + v[h][:, None]))                                                   # 11
        S = (A + B) / sqrt(d_attn)                                                                      # 12
        S = where(Mask, S, -inf)                                                                        # 13
        Y_h = V @ softmax(S)                                                                            # 14
        Y.append(Y_h)
    #                                                                                               end # 15
    Y = concatenate(Y)                                                                                  # 16
    V_tilde = W.W_o @ Y + W.b_o[:, None]                                                                # 17
    return V_tilde


def transformer_xl(x, theta, q, mem_len, clamp_len=inf, same_length=False, pre_norm=False, epsilon=0, sigma=ReLU):
    decoder, u, v, W_r = theta
    d_e = len(decoder.W_e)
    norm = lambda X, W: column_stack([layer_norm(e, W.gamma, W.beta, epsilon) for e in X.T])
    window = mem_len if same_length else inf
    M = [zeros((d_e, 0)) for W in decoder.layers]                                                       # 1
    P = []
    for tau in range(len(x) // q):                                                                      # 2
        H = column_stack([sqrt(d_e) * decoder.W_e[:, i] for i in x[tau * q : (tau + 1) * q]])           # 3
        for n, W in enumerate(decoder.layers):                                                          # 4
            m = M[n].shape[1]
            C = concatenate([M[n], H], axis=1)                                                          # 5
            M[n] = C[:, max(m + q - mem_len, 0) :]                                                      # 6
            C = norm(C, W.around_1.norm) if pre_norm else C                                             # 7
            Y = relative_attention(C[:, m:], C[:, :m], W.attention, u, v, W_r[n], clamp_len, window)    # 8
            H = H + Y if pre_norm else norm(H + Y, W.around_1.norm)                                     # 9
            H_tilde = norm(H, W.around_2.norm) if pre_norm else H                                       # 10
            H = H + mlp(H_tilde, W.mlp, sigma)                                                          # 11
            H = H if pre_norm else norm(H, W.around_2.norm)                                             # 12
        #                                                                                           end # 13
        H = norm(H, decoder.norm) if pre_norm else H                                                    # 14
        P_tau = softmax(decoder.W_u @ H + decoder.b_u[:, None])                                         # 15
        P.append(P_tau)
    #                                                                                               end # 16
    P = concatenate(P, axis=1)                                                                          # 17
    return P
