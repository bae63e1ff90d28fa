"""Streams against a cache of lists that grow and shrink, as the authors have it, and softmax₁ against a further key."""

from math import cos, sin, sqrt

import jax
import numpy as np
import pytest

from formal_tx.attending import Attending
from formal_tx.crosscheck import pseudocode
from formal_tx.implementation import attend_with
from formal_tx.long_context.first_and_near import FirstAndNear, Keys
from formal_tx.long_context.lm_infinite import lambda_attention
from formal_tx.long_context.sink_cache import sink_cache_step
from formal_tx.long_context.streaming_llm import softmax_off_by_one, streaming_attention
from formal_tx.positional import Alibi, Rotary
from tests.systems.lm_infinite.test_oracle import ATOL, BASE, ROTATING, alibi, heads, turned


def stream(Q, K, V, sinks, window, change=lambda s, h, distance: s):
    """`StartRecentKVCache` with start_size = sinks and recent_size = window - 1: what is read, then evicted."""
    H, l, d = Q.shape
    Y = np.zeros((H, l, V.shape[-1]))
    for h in range(H):
        g = h * len(K) // H
        cache = []
        for i in range(l):
            cache.append((K[g, i], V[g, i]))
            last = len(cache) - 1

            def at(x, t):
                return turned(x, lambda pair: t * BASE ** (-2 * pair / d))

            q = at(Q[h, i], last)
            s = np.array([change(q @ at(k, a) / sqrt(d), h, last - a) for a, (k, _) in enumerate(cache)])
            weights = np.exp(s - s.max())
            Y[h, i] = weights @ np.array([v for _, v in cache]) / weights.sum()
            if len(cache) > sinks + window - 1:
                cache = cache[:sinks] + cache[len(cache) - (window - 1) :]
    return Y


def run(implementation, Q, K, V, **options):
    with attend_with(implementation):
        return streaming_attention(Q, K, V, **{"attending": ROTATING} | options)


def test_a_case_by_hand(x64):
    """q = k = (1, 0), a sink and a window of one: from the second token on the sink is one away, however far it is."""
    one = np.tile([1.0, 0.0], (4, 1))
    found = run("dense", one, one, np.eye(4), sinks=1, window=1)
    sink, itself = np.exp(np.array([cos(1), cos(0)]) / sqrt(2))
    expected = np.eye(4) * itself / (sink + itself)
    expected[:, 0] = sink / (sink + itself)
    expected[0, 0] = 1
    np.testing.assert_allclose(found, expected, atol=ATOL)
    assert sin(0) == 0  # and no sine enters: both are turned from (1, 0)


@pytest.mark.parametrize("sinks", [0, 1, 4])
@pytest.mark.parametrize("window", [1, 5, 8, 60])
def test_a_stream_of_lists(sinks, window, x64):
    Q, K, V = heads(29)
    found = run("dense", Q, K, V, sinks=sinks, window=window)
    np.testing.assert_allclose(found, stream(Q, K, V, sinks, window), atol=ATOL)


@pytest.mark.parametrize(("sinks", "window"), [(4, 5), (4, 70), (0, 1)])
def test_a_stream_of_lists_by_blocks(sinks, window, x64):
    Q, K, V = heads(139)
    found = run("blockwise", Q, K, V, sinks=sinks, window=window)
    np.testing.assert_allclose(found, stream(Q, K, V, sinks, window), atol=ATOL)


def test_grouped_heads_with_alibi_of_places_in_the_cache(x64):
    Q, K, V = heads(37, H=4, H_kv=2)
    attending = Attending(rotate=Rotary(BASE), score=Alibi())
    found = run("blockwise", Q, K, V, sinks=2, window=5, attending=attending)
    np.testing.assert_allclose(found, stream(Q, K, V, 2, 5, alibi), atol=ATOL)


@pytest.mark.parametrize("window", [1, 5])
def test_one_sink_is_lm_infinite_with_one_first_token(window, x64):
    """The ceiling is then the size of the cache less one, which is the window."""
    Q, K, V = heads(29)
    expected = lambda_attention(Q, K, V, first=1, window=window, ceiling=window, attending=ROTATING)
    found = run("dense", Q, K, V, sinks=1, window=window)
    np.testing.assert_allclose(found, expected, atol=ATOL)
    four = {"window": 5, "attending": ROTATING}
    of_four = lambda_attention(Q, K, V, first=4, ceiling=8, **four), streaming_attention(Q, K, V, sinks=4, **four)
    assert abs(of_four[0] - of_four[1]).max() > 0.01


def test_what_the_ring_attends_to_is_what_the_whole_sequence_does_to_the_bit(x64):
    """With V = I the answers are the weights: the same tokens have a weight of 0, and the others the same weights."""
    l, sinks, window = 29, 4, 5
    sight, (Q, K, _), V = FirstAndNear(sinks, window), heads(l), np.eye(l)[None]
    whole = np.asarray(run("dense", Q, K, V, sinks=sinks, window=window))

    def step(kept, i):
        row = [jax.lax.dynamic_slice_in_dim(A, i, 1, -2) for A in map(jax.numpy.asarray, (Q, K, V))]
        answer, kept = sink_cache_step(row[0], Keys(*row[1:]), kept, i, sight, ROTATING)
        return kept, answer[0, 0]

    empty = Keys(np.zeros((1, sinks + window, 6)), np.zeros((1, sinks + window, l)))
    _, ring = jax.lax.scan(step, jax.tree.map(jax.numpy.asarray, empty), jax.numpy.arange(l))
    np.testing.assert_array_equal(np.asarray(ring) > 0, whole[0] > 0)
    np.testing.assert_allclose(ring, whole[0], atol=ATOL)


# Eviction in the pseudocode, as `evict_for_space` of the authors has it


def evict(A, coming, sinks, window):
    return pseudocode.module("long_context.streaming_llm").evict_for_space(A, coming, sinks, window)


@pytest.mark.parametrize(
    ("n", "coming", "kept"),
    [
        (6, 1, [0, 1, 2, 3, 4, 5]),
        (7, 1, [0, 1, 3, 4, 5, 6]),
        (7, 3, [0, 1, 5, 6]),
        (7, 5, [0, 1]),
        (7, 9, [0, 1]),
    ],
)
def test_which_columns_leave(n, coming, kept):
    """Two sinks and a window of five."""
    A = np.arange(n)[None, :]
    found = evict(A, coming, 2, 5)
    assert found[0].tolist() == kept
    np.testing.assert_array_equal(evict(found, coming, 2, 5), found)  # twice is once


# softmax₁


def test_softmax_off_by_one_is_a_softmax_with_a_zero_key_and_value(x64):
    S, V = np.random.default_rng(0).standard_normal((5, 7)), np.random.default_rng(1).standard_normal((7, 3))
    E = np.exp(np.concatenate([S, np.zeros((5, 1))], axis=1))
    expected = E / E.sum(axis=1, keepdims=True) @ np.concatenate([V, np.zeros((1, 3))])
    P = softmax_off_by_one(S)
    np.testing.assert_allclose(P @ V, expected, atol=ATOL)
    assert (P.sum(axis=1) < 1).all()


def test_softmax_off_by_one_of_large_scores_and_of_none():
    S = np.array([[1000.0, 0.0], [-1000.0, -1000.0], [-np.inf, -np.inf], [0.0, -np.inf]], np.float32)
    np.testing.assert_allclose(softmax_off_by_one(S), [[1, 0], [0, 0], [0, 0], [0.5, 0]])
