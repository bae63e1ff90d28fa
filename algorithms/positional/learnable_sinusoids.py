"""Learnable sinusoids: P <- learnable_sinusoids(t | W, omega), LSPE, Findings of AACL-IJCNLP 2022, 42

Positions of tokens whose reading order is noisy, as in scanned forms: a feed-forward network reads the sinusoids of
1706.03762 and learns what of them is of use. What it gives is added to the embeddings, as W_p is in Algorithm 2.
Input:           t (l,), the positions of the tokens, counted from 0; any number not below 0
Output:          P (d_e, l), a column for each token
Parameters W:    W_1 (d_ff, d_e), b_1 (d_ff,), W_2 (d_e, d_ff), b_2 (d_e,)
Hyperparameters: omega (d_e/2,), the frequencies in radians a token, which may be learned too; sigma, the activation;
                 residual, whether the sinusoids themselves are added

The paper's abstract names a learnable sinusoidal positional encoding feed-forward network and no details of it: one
hidden layer of width d_e, GELU and no residual are a reconstruction.
"""

from numpy import array, cos, sin

from ..notation import GELU


def learnable_sinusoids(t, W, omega, sigma=GELU, residual=False):
    S = array([f(w * t) for w in omega for f in (sin, cos)])                                            # 1
    Y = sigma(W.W_1 @ S + W.b_1[:, None])                                                               # 2
    P = W.W_2 @ Y + W.b_2[:, None]                                                                      # 3
    if residual:                                                                                        # 4
        P = P + S                                                                                       # 5
    #                                                                                           end # 6
    return P                                                                                            # 7


def sinusoid_frequencies(d_e, base=10000):
    """What omega is where it is not learned, and what it starts from where it is."""
    omega = array([base ** (-2 * i / d_e) for i in range(d_e // 2)])                                    # 1
    return omega                                                                                        # 2
