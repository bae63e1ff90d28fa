"""Pooling: x <- first_token(X | W, b), x <- mean(X)

One vector for a whole sequence.
Input:      X (d_e, l), the encoding of a sequence, a column for each token
Output:     x (d_e,)
Parameters: W (d_e, d_e), b (d_e,)

BERT pools what stands at its first token, [CLS], with the hyperbolic tangent; DistilBERT has ReLU in its place. The
sentence embeddings of Sentence-BERT (1908.10084) are means, often of length 1.
"""

from numpy import sqrt, tanh


def first_token(X, W, b, activation=tanh):
    """The first token's encoding, once more transformed."""
    x = activation(W @ X[:, 0] + b)                                                                     # 1
    return x


def mean(X):
    """The mean over the tokens."""
    l = X.shape[1]                                                                                      # 1
    x = sum(X[:, t] for t in range(l)) / l                                                              # 2
    return x


def unit(x):
    """The vector of length 1 in the direction of x; the cosine of two of them is their product."""
    return x / sqrt(sum(x**2))                                                                          # 1
