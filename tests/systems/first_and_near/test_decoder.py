"""Decoders that see the first tokens and the near ones: whole texts and streams are the same, caches never grow."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import d_transformer_logits
from formal_tx.architectures import d_layers, logits_of
from formal_tx.long_context.first_and_near_decoder import (
    sighted_attend,
    sighted_cache,
    sighted_logits,
    sighted_prefill,
    sighted_step,
)
from formal_tx.long_context.lm_infinite import lambda_sight
from formal_tx.long_context.sink_cache import decode_step
from formal_tx.long_context.streaming_llm import streaming_sight
from tests.systems.first_and_near.decoder import HP, params, read, texts

ATOL = 1e-12
"""Three layers in float64, with numbers of a few units."""

PLATFORMS = ["cpu", "cuda", "rocm", "tpu"]
LAMBDA, SINKS = lambda_sight(first=3, window=5, ceiling=7), streaming_sight(sinks=3, window=5)
BOTH = pytest.mark.parametrize("sight", [LAMBDA, SINKS], ids=["lambda", "sinks"])


def logits_by(sight, x):
    return sighted_logits(x, params(), HP, sight)


def stream_of(sight, *batch):
    return sighted_cache(params(), HP, sight, batch)


# Where nothing is left out


@pytest.mark.parametrize(
    "sight",
    [
        lambda_sight(first=0, window=17, ceiling=17),
        lambda_sight(first=4, window=17, ceiling=17),
        streaming_sight(sinks=0, window=17),
        streaming_sight(sinks=4, window=13),
        streaming_sight(sinks=16, window=1),
    ],
    ids=str,
)
def test_a_text_that_fits_is_read_as_ever(sight, x64):
    x = texts(2, 17)
    np.testing.assert_allclose(logits_by(sight, x), d_transformer_logits(x, params(), HP), atol=ATOL)


@pytest.mark.parametrize(
    "sight", [lambda_sight(first=0, window=5, ceiling=5), streaming_sight(sinks=0, window=5)], ids=["lambda", "sinks"]
)
def test_without_first_tokens_it_is_attention_with_a_window(sight, x64):
    x = texts(2, 17)
    expected = d_transformer_logits(x, params(), replace(HP, windows=(5,)))
    np.testing.assert_allclose(logits_by(sight, x), expected, atol=ATOL)


def test_the_rows_within_the_window_are_the_plain_ones(x64):
    x = texts(17)
    found = logits_by(lambda_sight(first=2, window=7, ceiling=7), x)
    expected = d_transformer_logits(x, params(), HP)
    np.testing.assert_allclose(found[:7], expected[:7], atol=ATOL)
    assert abs(found[9:] - expected[9:]).max() > 0.1


# Token by token


def _sights(lambdas, streams):
    of_lambdas = [lambda_sight(first=n, window=w, ceiling=c) for n, w, c in lambdas]
    return of_lambdas + [streaming_sight(sinks=g, window=w) for g, w in streams]


_FAST = _sights([(4, 8, 8), (3, 7, 2), (3, 5, 9)], [(0, 5), (1, 8), (4, 5)])
_SLOW = _sights([(0, 5, 5), (1, 1, 1)], [(0, 1), (1, 1), (4, 1), (1, 5), (0, 8), (4, 8), (4, 60)])


@pytest.mark.parametrize("sight", [*_FAST, *(pytest.param(sight, marks=pytest.mark.slow) for sight in _SLOW)], ids=str)
def test_a_stream_is_its_dense_equivalent(sight, x64):
    x = texts(2, 31)
    found, cache = read(sighted_step, stream_of(sight, 2), x)
    np.testing.assert_allclose(found, logits_by(sight, x), atol=ATOL)
    assert cache.kept.K.shape == (HP.L, 2, HP.H_kv, sight.first + sight.window, HP.d_attn)
    assert cache.kept.V.shape == (HP.L, 2, HP.H_kv, sight.first + sight.window, HP.d_mid)


@BOTH
def test_a_stream_goes_on_from_a_prompt_and_from_a_saved_cache(sight, x64):
    """Read in one go, as a prompt and the rest, and with the cache written down and read back: the same."""
    x = texts(2, 31)
    whole, end = read(sighted_step, stream_of(sight, 2), x)
    logits, cache = sighted_prefill(x[:, :19], params(), HP, sight)
    np.testing.assert_allclose(logits, whole[:, 18], atol=ATOL)
    leaves, structure = jax.tree.flatten(cache)
    saved = jax.tree.unflatten(structure, [jnp.asarray(np.asarray(leaf).copy()) for leaf in leaves])
    rest, found = read(sighted_step, saved, x[:, 19:])
    np.testing.assert_allclose(rest, whole[:, 19:], atol=ATOL)
    assert found.i == end.i
    assert found.sight == end.sight
    np.testing.assert_allclose(found.kept.K, end.kept.K, atol=ATOL)


@BOTH
def test_first_tokens_are_written_once(sight, x64):
    n, x = sight.first, texts(31)
    _, early = read(sighted_step, stream_of(sight), x[:n])
    _, late = read(sighted_step, stream_of(sight), x)
    for name in ("K", "V"):
        a, b = getattr(early.kept, name), getattr(late.kept, name)
        np.testing.assert_array_equal(a[..., :n, :], b[..., :n, :])
        assert (a[..., n:, :] == 0).all()


@BOTH
def test_the_counter_goes_in_a_circle_and_where_it_begins_changes_nothing(sight, x64):
    """From when the cache is full on only the place in the ring counts: a whole number of rounds more is the same."""
    x = texts(40)
    _, cache = read(sighted_step, stream_of(sight), x[:20])
    counts = [int(cache.i)]
    for token in x[20:]:
        counts.append(int(decode_step(jnp.asarray(token), cache.replace(i=jnp.asarray(counts[-1])), params(), HP)[1].i))
    assert max(counts) < max(sight.horizon, sight.first + sight.window) + sight.window
    assert len(set(counts)) == sight.window
    later = cache.replace(i=cache.i + 1000 * sight.window)
    (expected, _), (found, _) = (read(sighted_step, one, x[20:]) for one in (cache, later))
    np.testing.assert_array_equal(found, expected)


# How it is computed


@BOTH
def test_it_is_an_attention_for_the_layers(sight, x64):
    x = jnp.asarray(texts(2, 17))
    X, state = d_layers(x, params(), HP, sighted_attend(params(), HP, sight))
    np.testing.assert_allclose(logits_of(X, params(), HP), logits_by(sight, x), atol=ATOL)
    assert state is None


def test_streams_of_different_lengths_under_vmap(x64):
    """Sequences of one cache are read in step; with a cache for each, `jax.vmap` reads them wherever they are."""
    x, sight = texts(20), streaming_sight(sinks=1, window=3)
    caches = [read(sighted_step, stream_of(sight), x[:l])[1] for l in (2, 9)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *caches)
    step = jax.jit(jax.vmap(lambda token, cache: sighted_step(token, cache, params(), HP)[0]))
    found = step(jnp.asarray([x[2], x[9]]), stacked)
    np.testing.assert_allclose(found, logits_by(sight, x)[jnp.array([2, 9])], atol=ATOL)


@BOTH
def test_a_step_lowers_for_every_platform(sight, x64):
    leaves, structure = jax.tree.flatten(stream_of(sight))

    def step(token, leaves):
        logits, cache = sighted_step(token, jax.tree.unflatten(structure, leaves), params(), HP)
        return logits, jax.tree.leaves(cache)

    exported = jax.export.export(jax.jit(step), platforms=PLATFORMS)(jnp.asarray(1), leaves)
    assert set(exported.platforms) == set(PLATFORMS)


@BOTH
def test_one_program_decodes_at_all_positions(sight, x64):
    _, cache = sighted_step(jnp.asarray(1), stream_of(sight), params(), HP)
    compiled = decode_step._cache_size()
    for _ in range(9):
        _, cache = sighted_step(jnp.asarray(1), cache, params(), HP)
    assert decode_step._cache_size() == compiled
