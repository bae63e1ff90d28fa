"""The MLP of a layer, with or without a gate."""

from collections.abc import Callable

import jax

from .linear import affine
from .parameters import MLPParameters


def mlp(
    X: jax.Array,
    params: MLPParameters,
    activation: Callable[[jax.Array], jax.Array],
    inner: Callable[..., jax.Array],
) -> jax.Array:
    """W_out σ(W_in X + b_in) + b_out, or, with a gate, W_out (σ(W_gate X + b_gate) ⊙ (W_in X + b_in)) + b_out.

    Args:
      X: (..., ℓ, d_e).
      params: the gate's matrix is None where there is none. A gated SiLU is SwiGLU, a gated GELU GEGLU, a gated
        sigmoid GLU (2002.05202).
      activation: σ. inner: the norm of what W_out reads; the identity but for sub-LN.
    Returns:
      (..., ℓ, d_e).
    """
    hidden = affine(X, params.W_in, params.b_in)
    if params.W_gate is None:
        hidden = activation(hidden)
    else:
        hidden = activation(affine(X, params.W_gate, params.b_gate)) * hidden
    return affine(inner(hidden, params.gamma, params.beta), params.W_out, params.b_out)
