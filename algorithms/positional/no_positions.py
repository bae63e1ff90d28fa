"""No positions: what a causal decoder knows of positions although it is told none, 2203.16634

Nothing is added to the embeddings, to queries and keys, or to scores. A causal mask lets a token see as many tokens as
its position says, and a head can count them. A probe shows that trained decoders do: from hidden states alone ridge
regression reads where a token stands. Encoders without positions see a bag of tokens, and there is nothing to read.
"""

from numpy import eye, linalg, zeros

from ..algorithm_04_attention import attention
from ..notation import Parameters, ReLU, unidirectional


def count_from_start(X, v):
    """t_hat <- count_from_start(X | v): positions by one head of Algorithm 4 that is told none

    Input:      X (d_x, l), the first token of which is told from the others by a direction
    Output:     t_hat (l,), the position of each token, counted from 0
    Parameters: v (d_x,), with v . X[:, 0] = 1 and v . X[:, t] = 0 for t > 0

    All scores are 0, so token t pays 1/(t+1) to each of the t+1 tokens that it sees, the first one among them.
    """
    d_x, l = X.shape
    W_q, b_q = zeros((1, d_x)), zeros(1)                                                                # 1
    W_k, b_k = zeros((1, d_x)), zeros(1)                                                                # 2
    W_v, b_v = v[None, :], zeros(1)                                                                     # 3
    a = attention(X, X, (W_q, b_q, W_k, b_k, W_v, b_v), unidirectional(l, l))[0]                        # 4
    t_hat = 1 / a - 1                                                                                   # 5
    return t_hat                                                                                        # 6


def fit_probe(X, t, R, c, penalty):
    """W <- fit_probe(X, t | R, c, penalty): ridge regression of positions on random features of hidden states

    Input:           X (d_e, n), the hidden states of n tokens; t (n,), their positions
    Output:          W: R and c as they are, w (d_f,) and b
    Parameters:      R (d_f, d_e), c (d_f,), random, of the features
    Hyperparameters: penalty > 0, of the square of w, for each token
    """
    d_f, n = len(c), len(t)
    Phi = ReLU(R @ X + c[:, None])                                                                      # 1
    phi_bar = Phi.mean(axis=1)                                                                          # 2
    t_bar = t.mean()                                                                                    # 3
    Phi = Phi - phi_bar[:, None]                                                                        # 4
    w = linalg.solve(Phi @ Phi.T + n * penalty * eye(d_f), Phi @ (t - t_bar))                           # 5
    b = t_bar - w @ phi_bar                                                                             # 6
    W = Parameters(R=R, c=c, w=w, b=b)                                                                  # 7
    return W                                                                                            # 8


def read_positions(X, W):
    """t_hat <- read_positions(X | W): where tokens stand, by a probe W that was fitted to others

    Input:      X (d_e, n), hidden states
    Output:     t_hat (n,)
    Parameters: W, R (d_f, d_e), c (d_f,), w (d_f,) and b
    """
    Phi = ReLU(W.R @ X + W.c[:, None])                                                                  # 1
    t_hat = W.w @ Phi + W.b                                                                             # 2
    return t_hat                                                                                        # 3
