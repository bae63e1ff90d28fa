"""The Vision Transformer: X <- vision_transformer(I | theta)

Algorithm 9 up to line 9 for an image, with its norms in front of attention and MLP, and one after the last layer.
Input:            I (H, W, C), an image: rows, columns, channels
Output:           X (d_e, k + r + n), a column for each first token, register and patch
Hyperparameters:  P, the side of a patch; M, the trained rows and columns of patches
Parameters theta: W_e (d_e, C P P), b_e (d_e,); X_cls (d_e, k), the first tokens; W_p (d_e, k + n), positions;
                  X_r (d_e, r), registers (r = 0 without them: 2309.16588), which have no positions;
                  layers, as in Algorithm 9, and scale_1, scale_2 (d_e,), LayerScale (2103.17239; 1 without it);
                  gamma, beta (d_e,)

A class is read off the first token: classification(X[:, 0]).
"""

from numpy import column_stack, concatenate

from ..algorithm_05_mh_attention import mh_attention
from ..algorithm_06_layer_norm import layer_norm
from ..notation import GELU, bidirectional
from .interpolate_positions import interpolate_positions
from .patchify import patchify


def vision_transformer(I, theta, P, M, epsilon=0):
    W_e, b_e, X_cls, W_p, X_r, layers, gamma, beta = theta
    grid, k = (I.shape[0] // P, I.shape[1] // P), X_cls.shape[1]
    X = W_e @ patchify(I, P) + b_e[:, None]                                                             # 1
    X = concatenate([X_cls, X], axis=1)                                                                 # 2
    X = X + interpolate_positions(W_p, M, grid)                                                         # 3
    X = concatenate([X[:, :k], X_r, X[:, k:]], axis=1)                                                  # 4
    l = X.shape[1]
    for W in layers:                                                                                    # 5
        X_tilde = column_stack([layer_norm(X[:, t], W.gamma_1, W.beta_1, epsilon) for t in range(l)])   # 6
        X = X + W.scale_1[:, None] * mh_attention(X_tilde, X_tilde, W.attention, bidirectional(l, l))   # 7
        X_tilde = column_stack([layer_norm(X[:, t], W.gamma_2, W.beta_2, epsilon) for t in range(l)])   # 8
        Y = W.W_mlp2 @ GELU(W.W_mlp1 @ X_tilde + W.b_mlp1[:, None]) + W.b_mlp2[:, None]                 # 9
        X = X + W.scale_2[:, None] * Y                                                                  # 10
    #                                                                                               end # 11
    X = column_stack([layer_norm(X[:, t], gamma, beta, epsilon) for t in range(l)])                     # 12
    return X
