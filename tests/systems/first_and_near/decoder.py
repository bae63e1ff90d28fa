"""A small decoder that knows positions by distances alone, in float64, and what a cache gives token by token."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from formal_tx import DTransformerHyperparameters, init_d_transformer
from formal_tx.crosscheck import draws
from formal_tx.positional import Alibi, Rotary
from formal_tx.scores import QKNorm

HP = DTransformerHyperparameters(
    l_max=99,
    L=3,
    H=4,
    H_kv=2,
    d_e=12,
    d_mlp=11,
    N_V=13,
    d_attn=6,
    d_mid=5,
    table=None,
    rotate=Rotary(50.0),
    score=Alibi(),
    normalise_qk=QKNorm(),
)
"""All that attention may have: shared keys, a rotation, a score and a norm of queries and keys."""


@cache
def params():
    """Parameters that are large enough for attention to matter, in float64."""
    drawn = draws.fill(np.random.default_rng(0), draws.shapes_of(init_d_transformer, HP))
    with jax.enable_x64(True):
        return jax.tree.map(jnp.asarray, drawn)


def texts(*shape):
    """Token ids."""
    return np.random.default_rng(7).integers(0, HP.N_V, shape)


def read(step, cache, x):
    """The logits (..., ℓ, N_V) after each token of x (..., ℓ), read one by one, and the cache then."""

    def body(cache, token):
        logits, cache = step(token, cache, params(), HP)
        return cache, logits

    cache, logits = jax.jit(lambda cache, x: jax.lax.scan(body, cache, x))(cache, jnp.moveaxis(x, -1, 0))
    return jnp.moveaxis(logits, 0, -2), cache
