"""A stream of tokens that begins from what is known of its prompt."""

import re

import jax
import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters, init_d_transformer
from formal_tx.inference import PrefixCache, d_prefill, d_stream

HP = DTransformerHyperparameters(l_max=40, L=2, H=2, d_e=8, d_mlp=12, N_V=11)
X = np.random.default_rng(0).integers(0, 11, 20)


def model():
    return jax.tree.map(lambda W: 3 * W, init_d_transformer(jax.random.key(0), HP))  # far from uniform


@pytest.mark.parametrize("slots", [29, 40])
def test_a_stream_begins_from_a_cache(x64, slots):
    """Of which the first 13 tokens were stored; twice, for it is not consumed."""
    params, prefixes, options = model(), PrefixCache(2**20), {"length": 10, "key": jax.random.key(1)}
    prefixes.prefill(X[:13], params, HP)
    cache, _ = prefixes.prefill(X, params, HP, slots)
    whole = list(d_stream(X, params, HP, **options))
    for _ in range(2):
        assert list(d_stream(X, params, HP, cache=cache, **options)) == whole
    other, _ = prefixes.prefill((X + 1) % 11, params, HP, slots)
    assert list(d_stream(X, params, HP, cache=other, **options)) != whole  # it is what is read


@pytest.mark.parametrize(
    ("cache", "error", "message"),
    [
        (lambda params: 3, TypeError, "cache is a int, expected KeyValueCache, as d_prefill makes it"),
        (
            lambda params: d_prefill(X[None], params, HP),
            ValueError,
            "cache has keys of shape (2, 1, 2, 40, 4), expected those of one sequence",
        ),
        (
            lambda params: d_prefill(X, params, HP, slots=28),
            ValueError,
            "cache has 28 slots, expected at least ℓ + length - 1 = 29",
        ),
    ],
)
def test_what_is_no_cache_of_a_stream(cache, error, message):
    params = model()
    with pytest.raises(error, match=f"^d_stream: {re.escape(message)}$"):
        d_stream(X, params, HP, length=10, key=jax.random.key(1), cache=cache(params))
