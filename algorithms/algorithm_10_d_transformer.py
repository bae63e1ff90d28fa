"""Algorithm 10: P <- d_transformer(x | theta)

The decoder-only transformer: GPT.
Input:            x, a list of token ids, 1 <= length(x) <= l_max (E4)
Output:           P (N_V, length(x)), whose column t is the estimate of P(x[t+1] | x[1:t])
Hyperparameters:  l_max, L, H, d_e, d_mlp, and d_attn, d_mid (E27): all are shapes of theta
Parameters theta: W_e (d_e, N_V), W_p (d_e, l_max)
                  layers, for each l in [L]: attention (Algorithm 5); gamma_1, beta_1, gamma_2, beta_2 (d_e,);
                  W_mlp1 (d_mlp, d_e), b_mlp1 (d_mlp,), W_mlp2 (d_e, d_mlp), b_mlp2 (d_e,)
                  gamma, beta (d_e,); W_u (N_V, d_e)

The normalised X_tilde feeds the sublayer; the residual adds to X, which is not normalised (lines 6 and 8).
"""

from numpy import column_stack

from .algorithm_05_mh_attention import mh_attention
from .algorithm_06_layer_norm import layer_norm
from .notation import GELU, softmax, unidirectional


def d_transformer(x, theta, epsilon=0):
    W_e, W_p, layers, gamma, beta, W_u = theta
    l = len(x)                                                                                          # 1
    e = [W_e[:, x[t]] + W_p[:, t] for t in range(l)]                                                    # 2
    X = column_stack(e)                                                                                 # 3
    for W in layers:                                                                                    # 4
        X_tilde = column_stack([layer_norm(X[:, t], W.gamma_1, W.beta_1, epsilon) for t in range(l)])   # 5
        X = X + mh_attention(X_tilde, X_tilde, W.attention, unidirectional(l, l))                       # 6
        X_tilde = column_stack([layer_norm(X[:, t], W.gamma_2, W.beta_2, epsilon) for t in range(l)])   # 7
        X = X + W.W_mlp2 @ GELU(W.W_mlp1 @ X_tilde + W.b_mlp1[:, None]) + W.b_mlp2[:, None]             # 8
    #                                                                                               end # 9
    X = column_stack([layer_norm(X[:, t], gamma, beta, epsilon) for t in range(l)])                     # 10
    P = softmax(W_u @ X)                                                                                # 11
    return P
