"""MEGABYTE: p <- megabyte(x | theta), 2305.07185, section 2

A decoder of bytes on two levels: a large stack of layers reads patches of P bytes, and a small one writes the bytes of
a patch, one after the other, with what the large one says of the patches before.
Input:            x, a list of T bytes, 0 <= x[t] < N_V; P divides T
Output:           p (N_V, T), whose column t is the estimate of P(x[t] | x[0:t])
Parameters theta: E_G (D_G, N_V), Pos_G (D_G, T_max), pad_G (D_G, P), what stands for a patch before the first one
                  global_stack, layers of width P D_G; W_GL (D_L, D_G)
                  E_L (D_L, N_V), which is the unembedding too, pad_L (D_L,); local_stack, layers of width D_L
                  a stack has layers as theta of Algorithm 10 has, and the gamma, beta of a last norm
Hyperparameters:  P, the size of a patch

There are two shifts: the global stack reads patches moved by one patch (line 5), the local stack reads bytes moved by
one byte within their patch (line 10). Bytes, patches and slots of a patch count from 0.

A patch has no table of positions of its own: in which slot a byte stands, the local stack knows from L_ctx.
"""

from numpy import column_stack, concatenate, log2, zeros

from ..algorithm_05_mh_attention import mh_attention
from ..algorithm_06_layer_norm import layer_norm
from ..algorithm_14_d_inference import choose
from ..notation import GELU, softmax, unidirectional


def decoder_stack(X, theta, epsilon=0):
    """Lines 4 to 10 of Algorithm 10, of a sequence X (d_e, l) that is embedded already."""
    l = X.shape[1]                                                                                      # 1
    for W in theta.layers:                                                                              # 2
        X_tilde = column_stack([layer_norm(X[:, t], W.gamma_1, W.beta_1, epsilon) for t in range(l)])   # 3
        X = X + mh_attention(X_tilde, X_tilde, W.attention, unidirectional(l, l))                       # 4
        X_tilde = column_stack([layer_norm(X[:, t], W.gamma_2, W.beta_2, epsilon) for t in range(l)])   # 5
        X = X + W.W_mlp2 @ GELU(W.W_mlp1 @ X_tilde + W.b_mlp1[:, None]) + W.b_mlp2[:, None]             # 6
    #                                                                                               end # 7
    X = column_stack([layer_norm(X[:, t], theta.gamma, theta.beta, epsilon) for t in range(l)])         # 8
    return X


def megabyte(x, theta, P, epsilon=0):
    T = len(x)                                                                                          # 1
    K = T // P                                                                                          # 2
    h = [theta.E_G[:, x[t]] + theta.Pos_G[:, t] for t in range(T)]                                      # 3
    patches = [concatenate(h[k * P : (k + 1) * P]) for k in range(K)]                                   # 4
    G_in = column_stack([concatenate(theta.pad_G.T), *patches[: K - 1]])                                # 5
    G_out = decoder_stack(G_in, theta.global_stack, epsilon)                                            # 6
    p = zeros((theta.E_L.shape[1], T))
    for k in range(K):                                                                                  # 7
        C = G_out[:, k].reshape(P, -1).T                                                                # 8
        L_ctx = theta.W_GL @ C                                                                          # 9
        e = [theta.pad_L, *[theta.E_L[:, v] for v in x[k * P : (k + 1) * P - 1]]]                       # 10
        L_in = column_stack(e) + L_ctx                                                                  # 11
        L_out = decoder_stack(L_in, theta.local_stack, epsilon)                                         # 12
        S = theta.E_L.T @ L_out                                                                         # 13
        p[:, k * P : (k + 1) * P] = softmax(S)                                                          # 14
    #                                                                                               end # 15
    return p


def bits_per_byte(x, theta, P, epsilon=0):
    """What x costs: a number of bits for each of its bytes, the first one included."""
    p = megabyte(x, theta, P, epsilon)                                                                  # 1
    loss = -sum(log2(p[x[t], t]) for t in range(len(x))) / len(x)                                       # 2
    return loss


def next_byte(x, theta, P, epsilon=0):
    """The distribution (N_V,) of the byte after x, a list of any length: whole patches, and one that is begun."""
    k, n = divmod(len(x), P)                                                                            # 1
    h = [theta.E_G[:, x[t]] + theta.Pos_G[:, t] for t in range(k * P)]                                  # 2
    patches = [concatenate(h[j * P : (j + 1) * P]) for j in range(k)]                                   # 3
    G_in = column_stack([concatenate(theta.pad_G.T), *patches])                                         # 4
    G_out = decoder_stack(G_in, theta.global_stack, epsilon)                                            # 5
    L_ctx = theta.W_GL @ G_out[:, k].reshape(P, -1).T                                                   # 6
    e = [theta.pad_L, *[theta.E_L[:, v] for v in x[k * P :]]]                                           # 7
    L_in = column_stack(e) + L_ctx[:, : n + 1]                                                          # 8
    L_out = decoder_stack(L_in, theta.local_stack, epsilon)                                             # 9
    p = softmax(theta.E_L.T @ L_out[:, n])                                                              # 10
    return p


def megabyte_inference(x, theta, P, l_gen, tau, sample=choose, epsilon=0):
    """Algorithm 14 with `next_byte`: l_gen bytes after x, a list that may be empty, drawn with temperature tau > 0."""
    l = len(x)                                                                                          # 1
    for i in range(l_gen):                                                                              # 2
        p = next_byte(x, theta, P, epsilon)                                                             # 3
        y = sample(p ** (1 / tau) / (p ** (1 / tau)).sum())                                             # 4
        x = [*x, y]                                                                                     # 5
    #                                                                                               end # 6
    y = x[l:]                                                                                           # 7
    return y
