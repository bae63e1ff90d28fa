"""RMSNorm: e_hat <- rms_norm(e | gamma, beta), 1910.07467

Algorithm 6 without the mean: scales the features of one token to a mean square of 1.
Input:      e (d_e,), a token's activations
Output:     e_hat (d_e,), the normalised activations
Parameters: gamma, beta (d_e,), scale and offset, element by element; models have no offset, which is beta = 0
"""

from numpy import column_stack, sqrt


def rms_norm(e, gamma, beta=0, epsilon=0):
    d_e = len(e)
    e_hat = e / sqrt(sum(e[i] ** 2 for i in range(d_e)) / d_e + epsilon)                                # 1
    e_hat = e_hat * gamma + beta                                                                        # 2
    return e_hat


def rms_norm_about_one(e, gamma, beta=0, epsilon=0):
    """RMSNorm with the scale 1 + gamma, as Gemma stores it."""
    d_e = len(e)
    e_hat = e / sqrt(sum(e[i] ** 2 for i in range(d_e)) / d_e + epsilon)                                # 1
    e_hat = e_hat * (1 + gamma) + beta                                                                  # 2
    return e_hat


def of_each_token(norm, epsilon):
    """The norm of every column of X (d, l), as a function of X and of W, its gamma and beta (d,)."""
    return lambda X, W: column_stack([norm(X[:, t], W.gamma, W.beta, epsilon) for t in range(X.shape[1])])
