"""The last lines of a loss for some of the positions at a time, so that there never are all logits.

The logits of 4,096 tokens of GPT-2's vocabulary are 0.8 GB, and a loss that is differentiated has them three times. A
loss is a sum, so the gradient of each of its parts is known as soon as the part is: logits are made, scored,
differentiated and forgotten, and the backward pass has nothing to do but to multiply.
"""

from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .implementation import asked_for
from .linear import wide

LOGITS = 2**25
"""How many logits there are at a time, about: 128 MiB of float32."""

Score = Callable[[jax.Array, Any, jax.Array, jax.Array], jax.Array]
"""(X, the parameters that make logits of it, targets, which are counted) -> the sum of the losses."""


def in_parts(positions: int, N_V: int) -> bool:
    """Whether the logits of so many positions are better not had at once: there are too many, and nobody asks for them.

    `attend_with("dense")` asks for all that the printed lines have.
    """
    return positions * N_V >= 2 * LOGITS and asked_for() != "dense"


def sum_in_parts(score: Score, X: jax.Array, theta: Any, targets: jax.Array, counted: jax.Array, N_V: int) -> jax.Array:
    """`score` of all positions, as the sum over ranges of them. It has no derivative of a derivative, and no `jax.jvp`.

    A range has the positions of all sequences, so that sequences can be on several devices.

    Args:
      score: a sum over positions, each by itself.
      X: (..., ℓ, d). theta: a pytree. targets, counted: (..., n), n ≤ ℓ. N_V: how many logits a position has.
    """
    n = targets.shape[-1]
    size = ceil(n / min(n, ceil(targets.size * N_V / LOGITS)))

    def ranges(A, axis):
        padding = [(0, 0)] * A.ndim
        padding[axis] = (0, -n % size)
        A = jnp.pad(A, padding)
        A = A.reshape(*A.shape[:axis], -1, size, *A.shape[axis % A.ndim + 1 :])
        return jnp.moveaxis(A, axis - 1, 0)

    return _sum(score, ranges(X[..., :n, :], -2), theta, ranges(targets, -1), ranges(counted, -1))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _sum(score, X, theta, targets, counted):
    return lax.map(lambda part: score(part[0], theta, *part[1:]), (X, targets, counted)).sum()


def _with_gradients(score, X, theta, targets, counted):
    """The sum, and as what is kept its gradients, that of theta summed in at least float32."""

    def add(d_theta, part):
        value, (dX, change) = jax.value_and_grad(score, argnums=(0, 1))(part[0], theta, *part[1:])
        return jax.tree.map(lambda sum_, a: sum_ + a.astype(sum_.dtype), d_theta, change), (value, dX)

    zeros = jax.tree.map(lambda W: jnp.zeros(W.shape, wide(W).dtype), theta)
    d_theta, (values, dX) = lax.scan(add, zeros, (X, targets, counted))
    return values.sum(), (dX, jax.tree.map(lambda a, W: a.astype(W.dtype), d_theta, theta))


def _scaled(score, gradients, g):
    del score
    return *jax.tree.map(lambda a: a * g.astype(a.dtype), gradients), None, None


_sum.defvjp(_with_gradients, _scaled)
