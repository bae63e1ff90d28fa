"""What stands between the two matrices of an MLP, element by element: ReLU, eq. (5), and what others use instead."""

import jax


def relu(x: jax.Array) -> jax.Array:
    """The positive part; nan stays nan."""
    return jax.nn.relu(x)


def gelu(x: jax.Array) -> jax.Array:
    """Eq. (5), the exact GELU, x Φ(x); `jax.nn.gelu` by default is the approximation by tanh."""
    return jax.nn.gelu(x, approximate=False)


def gelu_tanh(x: jax.Array) -> jax.Array:
    """x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))): within 4.8e-4 of eq. (5). GPT-1, GPT-2, GPT-J, Gemma, T5 v1.1."""
    return jax.nn.gelu(x, approximate=True)


def gelu_sigmoid(x: jax.Array) -> jax.Array:
    """x σ(1.702 x): within 0.021 of eq. (5). CLIP's "quick GELU"."""
    return x * jax.nn.sigmoid(1.702 * x)


def silu(x: jax.Array) -> jax.Array:
    """x σ(x), also called swish. With a gate it makes SwiGLU (2002.05202)."""
    return jax.nn.silu(x)


def sigmoid(x: jax.Array) -> jax.Array:
    """σ(x). With a gate it makes the GLU."""
    return jax.nn.sigmoid(x)


def tanh(x: jax.Array) -> jax.Array:
    """tanh(x), which the pooled head of BERT has."""
    return jax.numpy.tanh(x)
