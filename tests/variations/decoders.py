"""Random decoders with variations, and how they are compared."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from formal_tx import DTransformerHyperparameters
from formal_tx.architectures import d_transformer_logits
from formal_tx.crosscheck.variations.architectures import random_parameters

few = partial(settings, deadline=None, derandomize=True)(max_examples=5)
seeds = st.integers(0, 2**32 - 1)
close = partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-10)
WIDTHS = {"l_max": 16, "H": 4, "d_e": 8, "d_mlp": 7, "N_V": 11, "d_attn": 6, "d_mid": 3, "epsilon": 1e-5, "L": 2}
L = 7


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def decoder(seed: int = 0, **variations: Any):
    """Hyperparameters, random parameters and tokens."""
    hp = DTransformerHyperparameters(**WIDTHS | variations)
    rng = np.random.default_rng(seed)
    params = jax.tree.map(jnp.asarray, random_parameters(rng, hp))
    return hp, params, jnp.asarray(rng.integers(hp.N_V, size=L))


def logits(hp, params, x, **options):
    return np.asarray(d_transformer_logits(x, params, hp, **options))
