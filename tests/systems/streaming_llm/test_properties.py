"""What is true of streams with sinks: the whole sequence and the cache are the same, and the cache never grows."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from formal_tx import d_transformer_logits
from formal_tx.architectures import d_layers, logits_of
from formal_tx.implementation import attend_with
from formal_tx.long_context.sink_cache import decode_step
from formal_tx.long_context.streaming_llm import (
    softmax_off_by_one,
    streaming_attend,
    streaming_attention,
    streaming_cache,
    streaming_logits,
    streaming_prefill,
    streaming_step,
)
from tests.systems.lm_infinite.decoder import HP, params, read, texts
from tests.systems.lm_infinite.test_properties import ATOL, PLATFORMS, ROTATING, heads


def jitted(implementation, **options):
    options = {"sinks": 3, "window": 5, "attending": ROTATING} | options

    def attention(Q, K, V):
        with attend_with(implementation):
            return streaming_attention(Q, K, V, **options)

    return jax.jit(attention)


def stream_of(sinks, window, *batch):
    return streaming_cache(params(), HP, batch, sinks=sinks, window=window)


# Where nothing is left out


@pytest.mark.parametrize(("sinks", "window"), [(4, 13), (0, 17), (16, 1)])
def test_a_text_that_fits_is_decoded_as_ever(sinks, window, x64):
    x = texts(2, 17)
    found = streaming_logits(x, params(), HP, sinks=sinks, window=window)
    np.testing.assert_allclose(found, d_transformer_logits(x, params(), HP), atol=ATOL)


def test_without_sinks_it_is_attention_with_a_window(x64):
    x = texts(2, 17)
    found = streaming_logits(x, params(), HP, sinks=0, window=5)
    np.testing.assert_allclose(found, d_transformer_logits(x, params(), replace(HP, windows=(5,))), atol=ATOL)


# Token by token


_FAST = [(0, 5), (1, 8), (4, 5)]
_SLOW = [(0, 1), (1, 1), (4, 1), (1, 5), (0, 8), (4, 8), (4, 60)]


@pytest.mark.parametrize(
    ("sinks", "window"), [*_FAST, *(pytest.param(*sizes, marks=pytest.mark.slow) for sizes in _SLOW)]
)
def test_a_stream_is_its_dense_equivalent(sinks, window, x64):
    x = texts(2, 31)
    expected = streaming_logits(x, params(), HP, sinks=sinks, window=window)
    found, cache = read(streaming_step, stream_of(sinks, window, 2), x)
    np.testing.assert_allclose(found, expected, atol=ATOL)
    assert cache.kept.K.shape == (HP.L, 2, HP.H_kv, sinks + window, HP.d_attn)
    assert cache.kept.V.shape == (HP.L, 2, HP.H_kv, sinks + window, HP.d_mid)


def test_a_stream_goes_on_from_a_prompt_and_from_a_saved_cache(x64):
    """Read in one go, as a prompt and the rest, and with the cache written down and read back: the same."""
    sinks, window, x = 3, 5, texts(2, 31)
    whole, end = read(streaming_step, stream_of(sinks, window, 2), x)
    logits, cache = streaming_prefill(x[:, :19], params(), HP, sinks=sinks, window=window)
    np.testing.assert_allclose(logits, whole[:, 18], atol=ATOL)
    leaves, structure = jax.tree.flatten(cache)
    saved = jax.tree.unflatten(structure, [jnp.asarray(np.asarray(leaf).copy()) for leaf in leaves])
    rest, found = read(streaming_step, saved, x[:, 19:])
    np.testing.assert_allclose(rest, whole[:, 19:], atol=ATOL)
    assert found.i == end.i
    np.testing.assert_allclose(found.kept.K, end.kept.K, atol=ATOL)


def test_sinks_are_written_once(x64):
    sinks, window, x = 3, 5, texts(31)
    _, early = read(streaming_step, stream_of(sinks, window), x[:sinks])
    _, late = read(streaming_step, stream_of(sinks, window), x)
    for name in ("K", "V"):
        a, b = getattr(early.kept, name), getattr(late.kept, name)
        np.testing.assert_array_equal(a[..., :sinks, :], b[..., :sinks, :])
        assert (a[..., sinks:, :] == 0).all()


def test_the_counter_goes_in_a_circle_and_where_it_begins_changes_nothing(x64):
    """From when the cache is full on only the place in the ring counts: a whole number of rounds more is the same."""
    sinks, window, x = 3, 5, texts(40)
    _, cache = read(streaming_step, stream_of(sinks, window), x[:20])
    counts = [int(cache.i)]
    for token in x[20:]:
        counts.append(int(decode_step(jnp.asarray(token), cache.replace(i=jnp.asarray(counts[-1])), params(), HP)[1].i))
    assert max(counts) < sinks + 2 * window
    assert len(set(counts)) == window
    later = cache.replace(i=cache.i + 1000 * window)
    (expected, _), (found, _) = (read(streaming_step, one, x[20:]) for one in (cache, later))
    np.testing.assert_array_equal(found, expected)


def test_an_answer_depends_on_what_is_in_the_cache_alone(x64):
    """One layer: other tokens where the cache has none any more, and the same answers, to the bit."""
    Q, K, V = heads(97)
    f = jitted("blockwise")
    before = f(Q, K, V)
    K[3:80], V[3:80] = 1e3, 1e3
    np.testing.assert_array_equal(f(Q, K, V)[84:], before[84:])


# How it is computed


def test_it_is_an_attention_for_the_layers(x64):
    x = jnp.asarray(texts(2, 17))
    X, state = d_layers(x, params(), HP, streaming_attend(HP, params(), sinks=2, window=5))
    expected = streaming_logits(x, params(), HP, sinks=2, window=5)
    np.testing.assert_allclose(logits_of(X, params(), HP), expected, atol=ATOL)
    assert state is None


def test_a_batch_is_vmap_is_a_loop(x64):
    Q, K, V = heads(67, 2, 3)
    f = jitted("blockwise")
    found = f(Q, K, V)
    np.testing.assert_allclose(jax.vmap(f)(Q, K, V), found, atol=ATOL)
    np.testing.assert_allclose(f(Q[1, 2], K[1, 2], V[1, 2]), found[1, 2], atol=ATOL)


def test_streams_of_different_lengths_under_vmap(x64):
    """Sequences of one cache are read in step; with a cache for each, `jax.vmap` reads them wherever they are."""
    x = texts(20)
    caches = [read(streaming_step, stream_of(1, 3), x[:l])[1] for l in (2, 9)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *caches)
    step = jax.jit(jax.vmap(lambda token, cache: streaming_step(token, cache, params(), HP)[0]))
    found = step(jnp.asarray([x[2], x[9]]), stacked)
    expected = streaming_logits(x, params(), HP, sinks=1, window=3)
    np.testing.assert_allclose(found, expected[jnp.array([2, 9])], atol=ATOL)


def test_gradients(x64):
    arguments = heads(67)
    weights = np.random.default_rng(1).standard_normal((67, 3))

    def gradient(implementation):
        f = jitted(implementation)
        return jax.jit(jax.grad(lambda *a: (f(*a) * weights).sum(), argnums=(0, 1, 2)))(*arguments)

    for found, expected in zip(gradient("blockwise"), gradient("dense"), strict=True):
        np.testing.assert_allclose(found, expected, atol=ATOL)
    check_grads(jitted("blockwise"), tuple(heads(9)), order=1, modes=["rev"])
    check_grads(softmax_off_by_one, (np.array([0.5, -1.0, 2.0]),), order=1, modes=["rev"])


def test_it_lowers_for_every_platform():
    shapes = [jax.ShapeDtypeStruct((2, 139, 6), np.float32)] * 3
    assert set(jax.export.export(jitted("blockwise"), platforms=PLATFORMS)(*shapes).platforms) == set(PLATFORMS)


def test_a_step_lowers_for_every_platform(x64):
    cache = stream_of(1, 3)

    def step(token, kept, i):
        logits, cache_then = streaming_step(
            token, cache.replace(kept=cache.kept.replace(K=kept[0], V=kept[1]), i=i), params(), HP
        )
        return logits, cache_then.i

    arguments = jnp.asarray(1), (cache.kept.K, cache.kept.V), cache.i
    assert set(jax.export.export(jax.jit(step), platforms=PLATFORMS)(*arguments).platforms) == set(PLATFORMS)


def test_one_program_decodes_at_all_positions(x64):
    cache = stream_of(1, 3)
    _, cache = streaming_step(jnp.asarray(1), cache, params(), HP)
    compiled = decode_step._cache_size()
    for _ in range(9):
        _, cache = streaming_step(jnp.asarray(1), cache, params(), HP)
    assert decode_step._cache_size() == compiled
