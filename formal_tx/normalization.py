"""Algorithm 6: layer normalization."""

import jax.numpy as jnp

from .contracts import algorithm, require_floats, require_shapes
from .linear import aligned
from .tagging import line


def _layer_norm_requires(e, gamma, beta, epsilon):
    require_shapes(
        "layer_norm", e=(e, "... d_e"), gamma=(gamma, "d_e"), **({} if beta is None else {"beta": (beta, "d_e")})
    )
    require_floats("layer_norm", e=e, gamma=gamma)
    return {
        "e": jnp.asarray(e),
        "gamma": jnp.asarray(gamma),
        "beta": None if beta is None else jnp.asarray(beta),
    }


@algorithm(_layer_norm_requires)
def layer_norm(e, gamma, beta=None, *, epsilon=1e-5):
    """Algorithm 6: normalises the features of each token to mean 0 and variance 1, then scales and shifts them.

    Args:
      e: (..., d_e) activations.
      gamma: (d_e,) scale.
      beta: (d_e,) offset, or None for none.
      epsilon: added to the variance, inside the root. The paper prints none, which is `epsilon=0` (E10).
    Returns:
      (..., d_e); nan for a constant `e` when `epsilon` is 0, which is 0/0 in the paper.
    Raises:
      ValueError: if the widths differ.
    """
    m = line(1, "m", jnp.mean(e, axis=-1))
    v = line(2, "v", jnp.mean((e - m[..., None]) ** 2, axis=-1))
    normalised = (e - m[..., None]) / jnp.sqrt(v + epsilon)[..., None]
    scaled = normalised * aligned(gamma, e)
    return line(3, "e_hat", scaled if beta is None else scaled + aligned(beta, e))
