"""Whisper's front: e_z <- whisper_front(M | theta), from sound to the embeddings of a context, 2212.04356

It takes the place of lines 1 and 2 of Algorithm 8, whose context is then a column for every fiftieth of a second.
Input:            M (n_mels, l), the features of a sound: `log_mel`
Output:           e_z (d_e, ceil(l / 2))
Parameters theta: W_1 (d_e, n_mels, 3), b_1 (d_e,), W_2 (d_e, d_e, 3), b_2 (d_e,), W_p (d_e, l_max)

Beyond the ends of a sequence there are zeros, which is not what silence is in M.
"""

from numpy import column_stack, zeros

from ..notation import GELU


def whisper_front(M, theta):
    W_1, b_1, W_2, b_2, W_p = theta
    X = GELU(convolution(M, W_1, b_1, stride=1))                                                        # 1
    X = GELU(convolution(X, W_2, b_2, stride=2))                                                        # 2
    e_z = [X[:, t] + W_p[:, t] for t in range(X.shape[1])]                                              # 3
    return column_stack(e_z)                                                                            # 4


def convolution(X, W, b, stride):
    """A convolution of width 3 in time: Y[:, t] = b + sum_k W[:, :, k] X[:, stride t + k - 1]."""
    d, l = X.shape                                                                                      # 1
    X = column_stack([zeros(d), X, zeros(d)])                                                           # 2
    Y = [b + sum(W[:, :, k] @ X[:, t + k] for k in range(3)) for t in range(0, l, stride)]              # 3
    return column_stack(Y)                                                                              # 4
