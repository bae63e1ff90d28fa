"""The seven encodings as variations of small models of the three architectures, and how their results are compared."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from formal_tx import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
    init_d_transformer,
    init_e_transformer,
    init_ed_transformer,
)
from formal_tx.positional import Alibi, RelativeBuckets, Rotary, interleaved_sinusoids
from formal_tx.positional.learnable_sinusoids import init_learnable_sinusoids, learnable_sinusoids

few = partial(settings, deadline=None, derandomize=True)(max_examples=5)
seeds = st.integers(0, 2**32 - 1)
close = partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-10)

L_MAX, L, N_V, D_E = 16, 7, 11, 8
_WIDTHS = {"l_max": L_MAX, "H": 2, "d_e": D_E, "d_mlp": 5, "N_V": N_V, "d_attn": 6, "d_mid": 3}
_TWO_WAYS, _ONE_WAY = RelativeBuckets(8, 6), RelativeBuckets(8, 6, bidirectional=False)

TABLES = {"sinusoids": {"table": interleaved_sinusoids}, "learned": {}, "LSPE": {}}
RELATIVE = {
    "rotary": {"table": None, "rotate": Rotary()},
    "rotary neighbours": {"table": None, "rotate": Rotary(neighbours=True, size=4)},
    "ALiBi": {"table": None, "score": Alibi()},
    "T5": {"table": None, "score": _TWO_WAYS},
}
NONE = {"none": {"table": None}}
ENCODINGS = TABLES | RELATIVE | NONE


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def tokens(seed, length=L):
    """Different tokens, so that to exchange two of them is to change the text."""
    return jnp.asarray(np.random.default_rng(seed).permutation(N_V)[:length])


def _varied(shapes, seed):
    """Random numbers in the place of every array, none of them trivial."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape) / 2), shapes)


def d_model(name, L=2, seed=0):
    """Hyperparameters and random parameters of a decoder."""
    variations = ENCODINGS[name] | ({"score": _ONE_WAY} if name == "T5" else {})
    hp = DTransformerHyperparameters(**_WIDTHS, L=L, **variations)
    return hp, _varied(jax.eval_shape(lambda: init_d_transformer(jax.random.key(0), hp)), seed)


def e_model(name, L=2, seed=0):
    """Those of an encoder."""
    hp = ETransformerHyperparameters(**_WIDTHS, L=L, **ENCODINGS[name])
    return hp, _varied(jax.eval_shape(lambda: init_e_transformer(jax.random.key(0), hp)), seed)


def ed_model(name, seed=0):
    """Those of an encoder-decoder."""
    variations = ENCODINGS[name] | ({"decoder_score": _ONE_WAY} if name == "T5" else {})
    hp = EDTransformerHyperparameters(**_WIDTHS, L_enc=1, L_dec=1, **variations)
    return hp, _varied(jax.eval_shape(lambda: init_ed_transformer(jax.random.key(0), hp)), seed)


def network(name, seed=1):
    """The parameters of LSPE's network, None for another encoding."""
    return init_learnable_sinusoids(jax.random.key(seed), D_E, learned_frequencies=True) if name == "LSPE" else None


def with_table(params, W):
    """A model whose positional table a network makes, if there is one."""
    return params if W is None else params.replace(W_p=learnable_sinusoids(jnp.arange(L_MAX), W))
