"""Where the norms of a layer stand: X <- placement(X, sublayers | norm)

A layer adds what its sub-layers make of the residual stream to the residual stream.
Input:           X (d_e, l), the residual stream; sublayers, a list of pairs (f, W): f, a function of (d_e, l), is
                 attention or the MLP
Output:          X (d_e, l)
Parameters W:    norm and norm_after, each a gamma and a beta (d_e,), of which a placement uses those that it has;
                 scale (d_e,), what a sub-layer's output is multiplied by (LayerScale, 2103.17239)
Hyperparameters: norm, a function of X and of a gamma and a beta: Algorithm 6, or RMSNorm, of every column
"""


def pre(X, sublayers, norm):
    """Algorithm 10: GPT-2, Llama. With a norm inside of the sub-layers it is sub-LN, 2210.06423."""
    for f, W in sublayers:                                                                              # 1
        X = X + W.scale[:, None] * f(norm(X, W.norm))                                                   # 2
    #                                                                                               end # 3
    return X


def post(X, sublayers, norm):
    """Algorithms 8 and 9: GPT-1, BERT."""
    for f, W in sublayers:                                                                              # 1
        X = norm(X + W.scale[:, None] * f(X), W.norm)                                                   # 2
    #                                                                                               end # 3
    return X


def sandwich(X, sublayers, norm):
    """Before and after each sub-layer, both off the residual stream: Gemma 2."""
    for f, W in sublayers:                                                                              # 1
        X = X + W.scale[:, None] * norm(f(norm(X, W.norm)), W.norm_after)                               # 2
    #                                                                                               end # 3
    return X


def branch(X, sublayers, norm):
    """After each sub-layer, off the residual stream: OLMo 2."""
    for f, W in sublayers:                                                                              # 1
        X = X + W.scale[:, None] * norm(f(X), W.norm_after)                                             # 2
    #                                                                                               end # 3
    return X


def parallel(X, sublayers, norm):
    """All sub-layers read the same X, each through a norm of its own: GPT-NeoX."""
    X = X + sum(W.scale[:, None] * f(norm(X, W.norm)) for f, W in sublayers)                            # 1
    return X


def parallel_one_norm(X, sublayers, norm):
    """All sub-layers read the same X through the same norm, the first one's: GPT-J, PaLM."""
    X_tilde = norm(X, sublayers[0][1].norm)                                                             # 1
    X = X + sum(W.scale[:, None] * f(X_tilde) for f, W in sublayers)                                    # 2
    return X
