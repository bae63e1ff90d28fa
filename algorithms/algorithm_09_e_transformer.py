"""Algorithm 9: P <- e_transformer(x | theta)

The encoder-only transformer: BERT.
Input:            x, a list of token ids, 1 <= length(x) <= l_max (E4)
Output:           P (N_V, length(x)), each column a distribution over the vocabulary
Hyperparameters:  l_max, L, H, d_e, d_mlp, d_f, and d_attn, d_mid (E27): all are shapes of theta
Parameters theta: W_e (d_e, N_V), W_p (d_e, l_max)
                  layers, for each l in [L]: attention (Algorithm 5); gamma_1, beta_1, gamma_2, beta_2 (d_e,);
                  W_mlp1 (d_mlp, d_e), b_mlp1 (d_mlp,), W_mlp2 (d_e, d_mlp), b_mlp2 (d_e,)
                  W_f (d_f, d_e), b_f (d_f,); gamma, beta (d_f,), which Appendix B prints as d_e (E17)
                  W_u (N_V, d_f), which the paper prints as N_V x d_e: line 12 multiplies d_f rows (E2)
"""

from numpy import column_stack

from .algorithm_05_mh_attention import mh_attention
from .algorithm_06_layer_norm import layer_norm
from .notation import GELU, bidirectional, softmax


def e_transformer(x, theta, epsilon=0):
    W_e, W_p, layers, W_f, b_f, gamma, beta, W_u = theta
    l = len(x)                                                                                          # 1
    e = [W_e[:, x[t]] + W_p[:, t] for t in range(l)]                                                    # 2
    X = column_stack(e)                                                                                 # 3
    for W in layers:                                                                                    # 4
        X = X + mh_attention(X, X, W.attention, bidirectional(l, l))                                    # 5
        X = column_stack([layer_norm(X[:, t], W.gamma_1, W.beta_1, epsilon) for t in range(l)])         # 6
        X = X + W.W_mlp2 @ GELU(W.W_mlp1 @ X + W.b_mlp1[:, None]) + W.b_mlp2[:, None]                   # 7
        X = column_stack([layer_norm(X[:, t], W.gamma_2, W.beta_2, epsilon) for t in range(l)])         # 8
    #                                                                                               end # 9
    X = GELU(W_f @ X + b_f[:, None])                                                                    # 10
    X = column_stack([layer_norm(X[:, t], gamma, beta, epsilon) for t in range(l)])                     # 11
    P = softmax(W_u @ X)                                                                                # 12
    return P
