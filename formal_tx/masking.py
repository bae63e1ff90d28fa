"""Which words an encoder has to guess: lines 4 to 6 of Algorithm 12, and BERT's rule."""

from typing import Any

import jax
import jax.numpy as jnp

from .tagging import line
from .vocabulary import Vocabulary


def mask_tokens(
    key: jax.Array, x: jax.Array, vocabulary: Vocabulary, mask_probability: Any
) -> tuple[jax.Array, jax.Array | None]:
    """Lines 4 to 6 of Algorithm 12: each token of `x` (..., ℓ) replaced by mask_token with the given probability.

    Returns:
      x_tilde (..., ℓ), and None: the positions to score can be seen in x_tilde (line 7).
    """
    replaced = jax.random.uniform(key, x.shape, jnp.float32) < mask_probability
    return line(5, "x_tilde", jnp.where(replaced, vocabulary.mask_token, x)), None


def mask_tokens_as_bert(
    key: jax.Array, x: jax.Array, vocabulary: Vocabulary, mask_probability: Any
) -> tuple[jax.Array, jax.Array | None]:
    """Section 3.1 of 1810.04805: of the chosen tokens 80 % are masked, 10 % become a random token, 10 % stay.

    Special tokens are never chosen, and no random token is one.

    Returns:
      x_tilde (..., ℓ), and which tokens were chosen, all of which are scored.
    """
    choose, change, draw = jax.random.split(key, 3)
    ordinary = x < vocabulary.mask_token
    chosen = ordinary & (jax.random.uniform(choose, x.shape, jnp.float32) < mask_probability)
    fate = jax.random.uniform(change, x.shape, jnp.float32)
    other = jax.random.randint(draw, x.shape, 0, vocabulary.mask_token, x.dtype)
    seen = jnp.where(fate < 0.8, vocabulary.mask_token, jnp.where(fate < 0.9, other, x))
    return line(5, "x_tilde", jnp.where(chosen, seen, x)), chosen
