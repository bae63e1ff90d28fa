"""The paper's notation that NumPy does not have: eq. (2), (3), (5), ReLU, a set of parameters, a gradient."""

from math import erf

from numpy import arange, exp, maximum, ndindex, ones, sqrt, vectorize, zeros_like


def softmax(A):
    """Eq. (2): softmax(A)[t_z, t_x] = exp A[t_z, t_x] / sum_t exp A[t, t_x]. Each column sums to one.

    The largest entry of the column is taken off first: the quotient is the same, and exp does not overflow.
    A column of -inf is 0/0 and gives nan; a matrix without rows has no largest entry and raises.
    """
    E = exp(A - A.max(axis=0))
    return E / E.sum(axis=0)


def bidirectional(l_z, l_x):
    """Eq. (3): Mask[t_z, t_x] = 1, every token may attend to every token."""
    return ones((l_z, l_x), dtype=bool)


def unidirectional(l_z, l_x):
    """Eq. (3): Mask[t_z, t_x] = [[t_z <= t_x]], a token may attend to itself and to those before it."""
    return arange(l_z)[:, None] <= arange(l_x)[None, :]


def ReLU(x):
    """The positive part of every entry."""
    return maximum(x, 0)


def GELU(x):
    """Eq. (5): GELU(x) = x P[X < x] with X ~ N(0, 1). The exact form, not the approximation by tanh."""
    return x * vectorize(erf, otypes=[float])(x / sqrt(2)) / 2 + x / 2


class Parameters:
    """A set of named parameters, theta or a part of it.

    A field is an array, `Parameters`, or a list of `Parameters` (one for each head, or for each layer). Sets of the
    same form subtract, and scale, entry by entry: theta - eta * gradient is written as in the paper.
    """

    def __init__(self, **fields):
        self.__dict__.update(fields)

    def __iter__(self):
        return iter(vars(self).values())

    def __repr__(self):
        return f"Parameters({', '.join(vars(self))})"

    def __sub__(self, other):
        return combine(lambda W, V: W - V, self, other)

    def __rmul__(self, factor):
        return combine(lambda W: factor * W, self)


def combine(f, W, *others):
    """Apply `f` to the arrays that stand at the same place in each set of parameters."""
    if isinstance(W, Parameters):
        return Parameters(**{k: combine(f, v, *(vars(o)[k] for o in others)) for k, v in vars(W).items()})
    if isinstance(W, list):
        return [combine(f, *parts) for parts in zip(W, *others, strict=True)]
    return f(W, *others)


def arrays(W):
    """The arrays of a set of parameters, in the order of its fields."""
    if isinstance(W, Parameters | list):
        return [A for part in W for A in arrays(part)]
    return [W]


def central_differences(loss, theta, h=1e-5):
    """The gradient of `loss` at `theta`, each entry from (loss(w + h) - loss(w - h)) / 2h: no calculus to trust."""
    gradient = combine(zeros_like, theta)
    for W, G in zip(arrays(theta), arrays(gradient), strict=True):
        for i in ndindex(W.shape):
            w = W[i]
            W[i] = w + h
            above = loss(theta)
            W[i] = w - h
            below = loss(theta)
            W[i] = w
            G[i] = (above - below) / (2 * h)
    return gradient
