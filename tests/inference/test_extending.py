"""Several tokens at a time: what one at a time gives, and what cannot be done."""

import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from algorithms import d_transformer
from formal_tx import DTransformerHyperparameters, d_transformer_logits, init_d_transformer
from formal_tx.crosscheck.layout import to_paper
from formal_tx.inference import d_extend, d_prefill, d_prefill_in_chunks, d_step
from formal_tx.inference.cache import empty_cache
from formal_tx.positional import Alibi, RelativeBuckets, Rotary, interleaved_sinusoids

HP = DTransformerHyperparameters(
    l_max=16, L=3, H=4, H_kv=2, d_e=8, d_mlp=12, N_V=11, table=None, rotate=Rotary(), windows=(None, 3)
)


PRINTED = DTransformerHyperparameters(l_max=16, L=2, H=2, d_e=8, d_mlp=12, N_V=11)
POSITIONS = {
    "as printed": PRINTED,
    "sinusoids": replace(PRINTED, table=interleaved_sinusoids),
    "rotary": replace(PRINTED, table=None, rotate=Rotary(neighbours=True)),
    "alibi": replace(PRINTED, table=None, score=Alibi()),
    "relative buckets": replace(PRINTED, table=None, score=RelativeBuckets(6, 9, bidirectional=False)),
    "windows": replace(PRINTED, windows=(2, 5)),
}


def model(hp=HP):
    return init_d_transformer(jax.random.key(0), hp)


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


def test_in_pieces_they_are_the_pseudocode_s(x64):
    """Algorithm 10, the printed one, of a text that is read from an empty cache on."""
    params, x, found = model(PRINTED), prompt(13), []
    cache = empty_cache(PRINTED.L, (), PRINTED.l_max, PRINTED, params.W_e.dtype)
    for t, n in ((0, 1), (1, 5), (6, 2), (8, 5)):
        logits, cache = d_extend(x[t : t + n], t, cache, params, PRINTED)
        found.append(jax.nn.softmax(logits))
    expected = d_transformer(x.tolist(), to_paper(params), PRINTED.epsilon).T
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("hp", POSITIONS.values(), ids=POSITIONS)
def test_positions_go_on_where_the_cache_ends(x64, hp):
    """Whatever a position means: in chunks that are longer and shorter than a window, then several tokens, then one."""
    params, x = model(hp), prompt(2, 12)
    expected = d_transformer_logits(x, params, hp)
    for chunk in (3, 8):
        cache = d_prefill_in_chunks(x[:, :8], params, hp, chunk)
        several, cache = d_extend(x[:, 8:11], 8, cache, params, hp)
        one, _ = d_step(x[:, 11], 11, cache, params, hp)
        found = np.concatenate([several, one[:, None]], axis=1)
        np.testing.assert_allclose(found, expected[:, 8:], rtol=0, atol=1e-12)


def test_they_are_written_over_the_padding(x64):
    """Prompts of different lengths: each goes on after its own last token, as it would alone."""
    params, x, lengths = model(), prompt(3, 8), np.array([8, 2, 5])
    more = np.random.default_rng(1).integers(0, HP.N_V, (3, 4))
    cache = d_prefill_in_chunks(x, params, HP, 3, lengths=lengths)
    found, _ = d_extend(more, lengths, cache, params, HP)
    for i, l in enumerate(lengths):
        whole = np.concatenate([x[i, :l], more[i]])
        np.testing.assert_allclose(found[i], d_transformer_logits(whole, params, HP)[l:], rtol=0, atol=1e-12)


def test_the_last_slots_are_filled_and_no_other_is_touched(x64):
    params, x = model(), prompt(12)
    before = d_prefill(x[:9], params, HP, slots=12)
    logits, after = d_extend(x[9:], 9, before, params, HP)
    np.testing.assert_allclose(logits, d_transformer_logits(x, params, HP)[9:], rtol=0, atol=1e-12)
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(before), strict=True):
        assert a.shape == b.shape
        np.testing.assert_array_equal(a[..., :9, :], b[..., :9, :])


def test_a_prompt_that_is_traced_in_chunks(x64):
    params, x, lengths = model(), prompt(2, 10), np.array([10, 7])
    found = jax.jit(lambda x, lengths: d_prefill_in_chunks(x, params, HP, 4, lengths=lengths))(x, lengths)
    expected = d_prefill_in_chunks(x, params, HP, 4, lengths=lengths)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


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


def test_only_the_sequence_that_is_out_of_range_gives_nan():
    cache, params, more = d_prefill(prompt(2, 4), model(), HP), model(), prompt(2, 3)
    logits, _ = jax.jit(lambda t: d_extend(more, t, cache, params, HP))(jnp.array([4, 14]))
    assert np.isnan(logits).all(axis=(1, 2)).tolist() == [False, True]
    np.testing.assert_allclose(logits[0], d_extend(more, 4, cache, params, HP)[0][0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("x", "t", "error", "message"),
    [
        (np.zeros((2, 0), int), 4, ValueError, "x has shape (2, 0), expected at least one token for each sequence"),
        (np.zeros((3, 2), int), 4, ValueError, "x has shape (3, 2), expected (2, 2): as many for each sequence"),
        (np.zeros((2, 2), int), [4, 15], ValueError, "t[1] is 15, outside [0, slots - n + 1) = [0, 15)"),
        (np.zeros((2, 2), int), [4, 4, 4], ValueError, "t has shape (3,), expected () or (2,)"),
        (np.zeros((2, 2), int), 4.0, TypeError, "t has dtype float64, expected integers"),
        (np.zeros((2, 17), int), 0, ValueError, "t is 0, outside [0, slots - n + 1) = [0, 0)"),
    ],
)
def test_what_is_refused_of_a_batch(x, t, error, message):
    params = model()
    with pytest.raises(error, match=f"^d_extend: {re.escape(message)}"):
        d_extend(x, t, d_prefill(prompt(2, 4), params, HP), params, HP)


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


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"x": prompt(17)}, ValueError, "x has 17 tokens, more than l_max = 16"),
        ({"x": []}, ValueError, "x is empty, at least one token is needed"),
        ({"x": [1, 11]}, ValueError, "x[1] is 11, outside [0, N_V) = [0, 11)"),
        ({"x": [1.0]}, TypeError, "x has dtype float64, expected integers"),
        ({"lengths": 5}, ValueError, "lengths of x is 5, outside [1, ℓ] = [1, 4]"),
        ({"lengths": [4]}, ValueError, "lengths of x have shape (1,), expected ()"),
        ({"slots": 3}, ValueError, "slots is 3, expected an integer of at least 4"),
        ({"slots": 17}, ValueError, "slots is 17, more than l_max = 16"),
        ({"params": None}, TypeError, "params is a NoneType, expected DTransformerParameters"),
    ],
)
def test_chunks_of_what_is_no_prompt(changes, error, message):
    arguments = {"x": prompt(4), "params": model(), "hyperparameters": HP, "chunk": 2}
    with pytest.raises(error, match=f"^d_prefill_in_chunks: {re.escape(message)}"):
        d_prefill_in_chunks(**arguments | changes)


def test_a_cache_of_another_model():
    other = replace(HP, L=2)
    cache = d_prefill(prompt(4), model(other), other)
    with pytest.raises(ValueError, match=r"^d_extend: cache.K has shape \(2, 2, 16, 2\), expected \(3, 2, 16, 2\)"):
        d_extend([1], 4, cache, model(), HP)
