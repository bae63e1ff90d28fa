"""A layer norm with a mistake that is often made, to be diagnosed: ε outside the root."""

import numpy as np


def layer_norm(e, gamma, beta, epsilon):
    """Algorithm 6, but for where ε is added."""
    variance = e.var(axis=-1, keepdims=True)
    return (e - e.mean(axis=-1, keepdims=True)) / (np.sqrt(variance) + epsilon) * gamma + beta
