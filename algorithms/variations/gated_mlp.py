"""The MLP of a layer, with a gate or without: Y <- mlp(X | W, sigma), Y <- gated_mlp(X | W, sigma), 2002.05202

Input:           X (d_e, l), a column for each token
Output:          Y (d_e, l)
Parameters W:    W_1 (d_mlp, d_e), b_1 (d_mlp,), W_2 (d_e, d_mlp), b_2 (d_e,); of the gate W_g (d_mlp, d_e) and
                 b_g (d_mlp,); norm, the gamma and beta (d_mlp,) of sub-LN
Hyperparameters: sigma, the activation: with SiLU the gated one is SwiGLU, with GELU GEGLU, with the sigmoid GLU;
                 inner, the norm of what W_2 reads, which sub-LN alone has
"""

from .grouped_attention import as_it_is


def mlp(X, W, sigma, inner=as_it_is):
    Y = sigma(W.W_1 @ X + W.b_1[:, None])                                                               # 1
    Y = inner(Y, W.norm)                                                                                # 2
    Y = W.W_2 @ Y + W.b_2[:, None]                                                                      # 3
    return Y


def gated_mlp(X, W, sigma, inner=as_it_is):
    G = sigma(W.W_g @ X + W.b_g[:, None])                                                               # 1
    Y = G * (W.W_1 @ X + W.b_1[:, None])                                                                # 2
    Y = inner(Y, W.norm)                                                                                # 3
    Y = W.W_2 @ Y + W.b_2[:, None]                                                                      # 4
    return Y
