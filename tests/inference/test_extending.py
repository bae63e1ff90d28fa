"""Several tokens at a time: what one at a time gives, and what cannot be done."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters, d_transformer_logits, init_d_transformer
from formal_tx.inference import d_extend, d_prefill, d_prefill_in_chunks, d_step
from formal_tx.positional import Rotary

HP = DTransformerHyperparameters(
    l_max=16, L=3, H=4, H_kv=2, d_e=8, d_mlp=12, N_V=11, table=None, rotate=Rotary(), windows=(None, 3)
)


def model():
    return init_d_transformer(jax.random.key(0), HP)


def prompt(*shape):
    return np.random.default_rng(0).integers(0, HP.N_V, shape)


@pytest.mark.parametrize("batch", [(), (3,)])
def test_several_tokens_are_one_after_the_other(x64, batch):
    """With grouped keys, rotation and windows; sequences of a batch stand at positions of their own."""
    params, x = model(), prompt(*batch, 9)
    t = np.full(batch, 4) if not batch else np.array([3, 4, 1])
    cache = one = d_prefill(x[..., :4], params, HP)
    more = np.random.default_rng(1).integers(0, HP.N_V, (*batch, 3))
    logits, cache = d_extend(more, t, cache, params, HP)
    for i in range(3):
        expected, one = d_step(more[..., i], t + i, one, params, HP)
        np.testing.assert_allclose(logits[..., i, :], expected, rtol=0, atol=1e-12)
    for a, b in zip(jax.tree.leaves(cache), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_they_are_those_of_the_whole_sequence(x64):
    params, x = model(), prompt(9)
    cache = d_prefill(x[:2], params, HP)
    logits, _ = d_extend(x[2:], 2, cache, params, HP)
    np.testing.assert_allclose(logits, d_transformer_logits(x, params, HP)[2:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 4, 5, 100])
def test_a_prompt_in_chunks(x64, chunk):
    params, x, lengths = model(), prompt(2, 10), np.array([10, 7])
    found = d_prefill_in_chunks(x, params, HP, chunk, lengths=lengths, slots=12)
    expected = d_prefill(x, params, HP, lengths=lengths, slots=12)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        for i, l in enumerate(lengths):
            np.testing.assert_allclose(a[:, i, :, :l], b[:, i, :, :l], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("x", "t"), [([1, 2, 3], 14), ([1, 2, 3], -1), ([1, 11, 3], 4)])
def test_traced_arguments_out_of_range_give_nan(x, t):
    cache, params = d_prefill(prompt(4), model(), HP), model()
    logits, _ = jax.jit(lambda x, t: d_extend(x, t, cache, params, HP))(np.array(x), t)
    assert jnp.isnan(logits[1:]).all()


@pytest.mark.parametrize(
    ("x", "t", "error", "message"),
    [
        ([], 4, ValueError, "x has shape (0,), expected at least one token for each sequence"),
        (3, 4, ValueError, "x has shape (), expected at least one token for each sequence"),
        ([[1, 2]], 4, ValueError, "x has shape (1, 2), expected (2,): as many for each sequence of the cache"),
        ([1, 11], 4, ValueError, "x[1] is 11, outside [0, N_V) = [0, 11)"),
        ([1.0, 2.0], 4, TypeError, "x has dtype float64, expected integers"),
        ([1, 2, 3], 14, ValueError, "t is 14, outside [0, slots - n + 1) = [0, 14)"),
        ([1, 2], [4], ValueError, "t has shape (1,), expected () or (): one position for each sequence"),
    ],
)
def test_what_is_refused(x, t, error, message):
    params = model()
    with pytest.raises(error, match=f"^d_extend: {re.escape(message)}"):
        d_extend(x, t, d_prefill(prompt(4), params, HP), params, HP)


def test_no_cache():
    with pytest.raises(
        TypeError, match=r"^d_extend: cache is a NoneType, expected KeyValueCache, as d_prefill makes it"
    ):
        d_extend([1], 0, None, model(), HP)


@pytest.mark.parametrize("chunk", [0, -1, 2.0, True])
def test_chunks_of_no_size(chunk):
    message = f"^d_prefill_in_chunks: chunk is {chunk!r}, expected an integer of at least 1"
    with pytest.raises(ValueError, match=message):
        d_prefill_in_chunks(prompt(4), model(), HP, chunk)
