"""A toy language: each token follows from the one before by one of a few maps, and now and then the map changes.

A model has to find out from the tokens before which map it is, so context is worth something at every length.
"""

from functools import partial

import jax
import jax.numpy as jnp

SYMBOLS, MAPS = 31, 6
START = 0
"""The token that every text begins with; the symbols are 1 … 31."""

FOLLOWS, SWITCHES = 0.85, 1 / 24
"""How often a token is the one that the map says, and otherwise any; how often the map changes."""


def permutations(key: jax.Array) -> jax.Array:
    """The maps (6, 31) of the language, random permutations."""
    return jax.vmap(lambda k: jax.random.permutation(k, SYMBOLS))(jax.random.split(key, MAPS))


@partial(jax.jit, static_argnames=("batch", "length"))
def texts(key: jax.Array, maps: jax.Array, batch: int, length: int) -> jax.Array:
    """Token ids (batch, length), of which the first is `START`."""

    def step(state, key):
        token, which = state
        a, b, c, d = jax.random.split(key, 4)
        which = jnp.where(jax.random.uniform(a) < SWITCHES, jax.random.randint(b, (), 0, MAPS), which)
        anything = jax.random.randint(d, (), 0, SYMBOLS)
        token = jnp.where(jax.random.uniform(c) < FOLLOWS, maps[which, token], anything)
        return (token, which), token

    def text(key):
        first, which, rest = jax.random.split(key, 3)
        begin = jax.random.randint(first, (), 0, SYMBOLS), jax.random.randint(which, (), 0, MAPS)
        return jax.lax.scan(step, begin, jax.random.split(rest, length - 1))[1]

    symbols = 1 + jax.vmap(text)(jax.random.split(key, batch))
    return jnp.concatenate([jnp.full((batch, 1), START), symbols], axis=1)
