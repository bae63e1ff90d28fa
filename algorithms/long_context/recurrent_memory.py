"""Recurrent Memory Transformer: a text in segments, between which m vectors are carried, 2207.06881 and 2304.11062

The backbone is a transformer as it is: it reads rows of which some are not tokens but memory, and what it makes of
these is the memory of the next segment.
Input:            x, a list of token ids, in segments of s tokens; s divides length(x)
                  M_0 (d_e, m), the memory before the first segment: learned, m >= 0
Output:           rmt_decoder: P (N_V, length(x)), whose column t is the estimate of P(x[t+1] | x[1:t])
                  rmt_encoder: Y (d_e, 1 + m + length(x)): the row of cls in the last segment, by which a text is
                  classified, the memory after it, and the tokens of all segments
Parameters theta: those of Algorithm 10, or of Algorithm 9
Hyperparameters:  s >= 1, the length of a segment; mem_bidirectional, whether rows of a memory see each other
                  placement, sigma, epsilon, final_norm: of the backbone
                  cls and sep, the tokens that stand before the memory and after it, and after the text

A text of length(x) / s segments costs as many passes over rows of one length: time is linear in length(x).
"""

from numpy import arange, column_stack, concatenate

from ..algorithm_06_layer_norm import layer_norm
from ..notation import GELU, bidirectional, softmax, unidirectional
from ..variations.gated_mlp import mlp
from ..variations.grouped_attention import grouped_attention
from ..variations.placement import post, pre


def memory_mask(m, s, mem_bidirectional=False):
    """Mask (2m + s, 2m + s) of the decoder: a memory to read, s tokens, a memory to write.

    Nothing sees what is behind it, and so no token sees what is written.
    """
    Mask = unidirectional(2 * m + s, 2 * m + s)                                                         # 1
    if mem_bidirectional:                                                                               # 2
        read = arange(2 * m + s) < m                                                                    # 3
        write = arange(2 * m + s) >= m + s                                                              # 4
        Mask = Mask | (read[:, None] & read[None, :]) | (write[:, None] & write[None, :])               # 5
    #                                                                                               end # 6
    return Mask


def backbone(H, theta, norm_x, Mask, placement, sigma=GELU, epsilon=0):
    """The layers of Algorithm 9 or 10 over rows that are embedded already: H (d_e, l), to which positions are added."""
    norm = lambda X, W: column_stack([layer_norm(e, W.gamma, W.beta, epsilon) for e in X.T])
    H = H + theta.W_p[:, : H.shape[1]]                                                                  # 1
    for W in theta.layers:                                                                              # 2
        attend = lambda X: grouped_attention(X, X, W.attention, Mask)
        feed = lambda X: mlp(X, W.mlp, sigma)
        H = placement(H, [(attend, W.around_1), (feed, W.around_2)], norm)                              # 3
    #                                                                                               end # 4
    H = H if norm_x is None else norm(H, norm_x)                                                        # 5
    return H


def rmt_decoder(x, theta, M_0, s, mem_bidirectional=False, placement=pre, sigma=GELU, epsilon=0):
    m = M_0.shape[1]
    Mask = memory_mask(m, s, mem_bidirectional)                                                         # 1
    M = M_0                                                                                             # 2
    P = []
    for tau in range(len(x) // s):                                                                      # 3
        E = column_stack([theta.W_e[:, i] for i in x[tau * s : (tau + 1) * s]])                         # 4
        H = concatenate([M, E, M], axis=1)                                                              # 5
        H = backbone(H, theta, theta.norm, Mask, placement, sigma, epsilon)                             # 6
        P_tau = softmax(theta.W_u @ H[:, m : m + s] + theta.b_u[:, None])                               # 7
        M = H[:, m + s :]                                                                               # 8
        P.append(P_tau)
    #                                                                                               end # 9
    P = concatenate(P, axis=1)                                                                          # 10
    return P


def rmt_encoder(x, theta, M_0, s, cls, sep, placement=post, sigma=GELU, epsilon=0):
    m = M_0.shape[1]
    Mask = bidirectional(m + s + 3, m + s + 3)                                                          # 1
    M = M_0                                                                                             # 2
    Y = []
    for tau in range(len(x) // s):                                                                      # 3
        E = column_stack([theta.W_e[:, i] for i in [cls, sep, *x[tau * s : (tau + 1) * s], sep]])       # 4
        H = concatenate([E[:, :1], M, E[:, 1:]], axis=1)                                                # 5
        H = backbone(H, theta, theta.norm_x, Mask, placement, sigma, epsilon)                           # 6
        M = H[:, 1 : m + 1]                                                                             # 7
        Y_tau = H[:, m + 2 : m + 2 + s]                                                                 # 8
        Y.append(Y_tau)
    #                                                                                               end # 9
    Y = concatenate([H[:, :1], M, *Y], axis=1)                                                          # 10
    return Y
