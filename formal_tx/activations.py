"""What stands between the two matrices of an MLP, element by element: ReLU, eq. (5), and what others use instead."""

import jax


def relu(x: jax.Array) -> jax.Array:
    """The positive part; nan stays nan."""
    return jax.nn.relu(x)


def gelu(x: jax.Array) -> jax.Array:
    """Eq. (5), the exact GELU, x Φ(x) = x/2 (1 + erf(x/√2)).

    `jax.nn.gelu` has erfc(-x/√2) in its place, and so more digits where Φ(x) is nearly 0, at a price: a training step
    is 1.05 times as long.
    """
    return 0.5 * x * (1 + jax.lax.erf(x * 2**-0.5))


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
