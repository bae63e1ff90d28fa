"""A multi-head attention as somebody else would write it, and one with a mistake, both to be checked against the paper.

    formal-tx check 5 --against examples/my_attention.py:my_mh_attention      # agrees, exit status 0
    formal-tx check 5 --against examples/my_attention.py:wrong_attention      # does not, exit status 1

Arrays are NumPy, float64. A row is a token; `mask[t_x, t_z]` is true where token t_x may attend to token t_z;
`params.heads` holds the parameters of all heads, stacked on a leading axis h.
"""

import numpy as np


def my_mh_attention(X, Z, params, mask):
    """Algorithm 5 in Einstein's notation: x, z tokens; h heads; d, e, o features."""
    heads = params.heads
    Q = np.einsum("hdi, xi -> hxd", heads.W_q, X) + heads.b_q[:, None]
    K = np.einsum("hdi, zi -> hzd", heads.W_k, Z) + heads.b_k[:, None]
    V = np.einsum("hei, zi -> hze", heads.W_v, Z) + heads.b_v[:, None]
    scores = np.einsum("hxd, hzd -> hxz", Q, K) / np.sqrt(Q.shape[-1])
    Y = np.einsum("hxz, hze -> xhe", softmax(np.where(mask, scores, -np.inf)), V)
    return Y.reshape(len(X), -1) @ params.W_o.T + params.b_o


def wrong_attention(X, Z, params, mask):
    """The same without 1/√d_attn: a mistake that no error message and no plot of the loss would show."""
    heads = params.heads
    Q = np.einsum("hdi, xi -> hxd", heads.W_q, X) + heads.b_q[:, None]
    K = np.einsum("hdi, zi -> hzd", heads.W_k, Z) + heads.b_k[:, None]
    V = np.einsum("hei, zi -> hze", heads.W_v, Z) + heads.b_v[:, None]
    scores = np.einsum("hxd, hzd -> hxz", Q, K)
    Y = np.einsum("hxz, hze -> xhe", softmax(np.where(mask, scores, -np.inf)), V)
    return Y.reshape(len(X), -1) @ params.W_o.T + params.b_o


def softmax(scores):
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


if __name__ == "__main__":
    print(__doc__)
