"""What mistaken programs compute instead: the functions that the rewrites of the catalogue call."""

import numpy as np
from numpy import array, exp, maximum, pi, sqrt, stack, tanh


def softmax_of_all(A):
    """All entries together sum to one."""
    E = exp(A - A.max())
    return E / E.sum()


def softmax_with_one(A):
    """The denominator has one more term, exp 0."""
    top = maximum(A.max(axis=0), 0)
    E = exp(A - top)
    return E / (E.sum(axis=0) + exp(-top))


def log_softmax(A):
    """The logarithm of the softmax, of which nothing is -∞."""
    shifted = A - A.max(axis=0)
    return shifted - np.log(exp(shifted).sum(axis=0))


def sigmoid(A):
    """1 / (1 + exp -A), of every entry by itself."""
    return (1 + tanh(A / 2)) / 2


def GELU_tanh(x):
    """The approximation of GELU by a hyperbolic tangent."""
    return x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2


def GELU_sigmoid(x):
    """The approximation of GELU by a sigmoid."""
    return x * sigmoid(1.702 * x)


def SiLU(x):
    """x sigmoid(x)."""
    return x * sigmoid(x)


def norm_over_tokens(X, gamma, beta, epsilon):
    """Mean and variance of each feature over the tokens."""
    m = X.mean(axis=1, keepdims=True)
    v = ((X - m) ** 2).mean(axis=1, keepdims=True)
    return (X - m) / sqrt(v + epsilon) * gamma[:, None] + beta[:, None]


def norm_over_all(X, gamma, beta, epsilon):
    """One mean and one variance, of all features of all tokens."""
    return (X - X.mean()) / sqrt(X.var() + epsilon) * gamma[:, None] + beta[:, None]


def interleaved(Y):
    """The heads' rows in turn: feature d of head h at d H + h."""
    return stack(Y, axis=1).reshape(-1, Y[0].shape[1])


def not_transposed(Y):
    """Heads (H, l, d_mid) taken for (l, H d_mid) by a reshape, without moving the axis of the heads."""
    heads = array([Y_h.T for Y_h in Y])
    return heads.reshape(heads.shape[1], -1).T


def reshaped(X):
    """The same numbers in the same order in memory under the other shape: a reshape where a transposition belongs."""
    return X.reshape(X.shape[::-1]).T


def reshaped_rows(X):
    """The same mistake where rows are tokens: rows in order of memory, under the other shape."""
    return X.T.reshape(X.shape)


def draw_likeliest(sample, q):
    """The likeliest token; `sample` is asked all the same, and its answer is not used."""
    sample(q)
    return int(q.argmax())


_NUMPY = (
    *("arange", "concatenate", "cos", "exp", "eye", "inf", "log"),
    *("maximum", "ones", "sin", "sqrt", "stack", "tanh", "where"),
)
NAMES = {name: getattr(np, name) for name in _NUMPY} | {
    f.__name__: f
    for f in (
        GELU_sigmoid,
        GELU_tanh,
        SiLU,
        draw_likeliest,
        interleaved,
        log_softmax,
        norm_over_all,
        norm_over_tokens,
        not_transposed,
        reshaped,
        reshaped_rows,
        sigmoid,
        softmax_of_all,
        softmax_with_one,
    )
}
"""The names that the replacements of the catalogue may use, beside those of the pseudocode."""
