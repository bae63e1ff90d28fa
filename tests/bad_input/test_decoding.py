"""Filters, single steps, streams and beam search: every refusal, by its message, before anything is computed."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx.inference import filters
from formal_tx.inference.beam_search import d_beam_search, ed_beam_search
from formal_tx.inference.decoding import d_prefill, d_step, ed_prefill, ed_step
from formal_tx.inference.streaming import d_stream, ed_stream

from .cases import ED, KEY, D, models, nan_at, spoiled

X = np.array([9, 1, 2])


def refused(error, message, f, *args, **kwargs):
    with pytest.raises(error) as caught:
        f(*args, **kwargs)
    assert str(caught.value) == message
    assert type(caught.value) is error


# Filters

FINITE = "expected a finite number greater than 0"
SHARE = "expected a number in (0, 1]"


@pytest.mark.parametrize(
    ("make", "number", "message"),
    [
        *((filters.temperature, tau, f"temperature: tau is {tau}, {FINITE}") for tau in (0, -1.0, np.nan, np.inf)),
        *((filters.top_k, k, f"top_k: k is {k!r}, expected an integer of at least 1") for k in (0, -1, 2.0, True, "2")),
        *((filters.top_p, p, f"top_p: p is {p}, {SHARE}") for p in (0, 0.0, -0.5, 1.5, np.nan)),
        *((filters.min_p, p, f"min_p: p is {p}, {SHARE}") for p in (0, 1.1, np.nan)),
        *(
            (filters.repetition_penalty, r, f"repetition_penalty: r is {r}, {FINITE}")
            for r in (0, -1.0, np.nan, np.inf)
        ),
        (filters.top_p, np.array([0.5, 0.6]), "top_p: p has shape (2,), expected a single number"),
        (filters.top_k, np.array([2, 3]), f"top_k: k is {np.array([2, 3])!r}, expected an integer of at least 1"),
    ],
)
def test_numbers_out_of_range(make, number, message):
    refused(ValueError, message, make, number)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (filters.temperature, "temperature: tau"),
        (filters.top_p, "top_p: p"),
        (filters.min_p, "min_p: p"),
        (filters.repetition_penalty, "repetition_penalty: r"),
    ],
)
@pytest.mark.parametrize("number", [None, True, "0.5", [0.5]], ids=repr)
def test_what_is_no_number(make, name, number):
    refused(TypeError, f"{name} is {number!r}, expected a number", make, number)


def test_a_traced_k_that_is_no_integer():
    with pytest.raises(TypeError, match=r"^top_k: k has dtype float32, expected an integer"):
        jax.jit(lambda k: filters.top_k(k)(jnp.arange(3.0)))(2.0)


def test_what_filters_are_given():
    one = filters.repetition_penalty(2.0)
    refused(TypeError, "filter: logits has dtype int64, expected a floating dtype", one, np.arange(3))
    refused(TypeError, "filter: seen has dtype float64, expected bool, or integers that count", one, X / 1, X / 1)
    refused(ValueError, "filter: seen has shape (2,), expected (3,), that of the logits", one, X / 1, X[:2])
    message = "repetition_penalty: seen is None, expected which tokens were seen, of the logits' shape"
    refused(ValueError, message, one, X / 1)
    message = "compose: filters[1] is of type int, expected a filter, top_k(5) for example"
    refused(TypeError, message, filters.compose, one, 3)


# Steps


def d_cache(slots=None):
    return d_prefill(X, models().d, D, slots=slots)


def test_steps_at_positions_that_do_not_exist():
    """No cache grows past l_max without an error: nor past its own slots."""
    for t, slots in [(5, None), (-1, None), (4, 4)]:
        message = f"d_step: t is {t}, outside [0, slots) = [0, {slots or 5})"
        refused(ValueError, message, d_step, 1, t, d_cache(slots), models().d, D)
    message = "ed_step: t is 5, outside [0, slots) = [0, 5)"
    refused(ValueError, message, ed_step, 1, 5, ed_prefill(X, models().ed, ED), models().ed, ED)
    refused(ValueError, "d_prefill: slots is 6, more than l_max = 5", d_prefill, X, models().d, D, slots=6)
    message = "d_prefill: slots is 2, expected an integer of at least 3"
    refused(ValueError, message, d_prefill, X, models().d, D, slots=2)


def test_traced_positions_that_do_not_exist():
    step = jax.jit(lambda token, t, cache: d_step(token, t, cache, models().d, D))
    ed_step_ = jax.jit(lambda token, t, cache: ed_step(token, t, cache, models().ed, ED))
    for t in (5, -1, 2**31 - 1):
        logits, _ = step(1, t, d_cache())
        assert jnp.isnan(logits).all()
        logits, _ = ed_step_(1, t, ed_prefill(X, models().ed, ED))
        assert jnp.isnan(logits).all()
    logits, cache = step(1, 4, d_cache())
    assert not jnp.isnan(logits).any()
    assert jnp.isnan(step(1, 5, cache)[0]).all()


def test_traced_tokens_out_of_range():
    step = jax.jit(lambda token, t, cache: d_step(token, t, cache, models().d, D))
    for token in (11, -1):
        assert jnp.isnan(step(token, 3, d_cache())[0]).all()


def test_what_steps_are_given():
    params, cache = models().d, d_cache()
    refused(ValueError, "d_step: token is 11, outside [0, N_V) = [0, 11)", d_step, 11, 3, cache, params, D)
    refused(TypeError, "d_step: token has dtype float64, expected integers", d_step, 1.0, 3, cache, params, D)
    message = "d_step: token has shape (2,), expected (): one for each sequence of the cache"
    refused(ValueError, message, d_step, [1, 2], 3, cache, params, D)
    message = "d_step: t has shape (1,), expected () or (): one position for each sequence"
    refused(ValueError, message, d_step, 1, [3], cache, params, D)
    message = "d_step: cache is a EDCache, expected KeyValueCache, as d_prefill makes it"
    refused(TypeError, message, d_step, 1, 3, ed_prefill(X, models().ed, ED), params, D)
    message = "ed_step: cache is a KeyValueCache, expected EDCache, as ed_prefill makes it"
    refused(TypeError, message, ed_step, 1, 3, cache, models().ed, ED)


# Streams and beam search

STREAMS = {
    "d_stream": partial(d_stream, hyperparameters=D, key=KEY),
    "ed_stream": partial(ed_stream, hyperparameters=ED, key=KEY),
}
SEARCHES = {
    "d_beam_search": partial(d_beam_search, hyperparameters=D, length=2),
    "ed_beam_search": partial(ed_beam_search, hyperparameters=ED),
}
EVERY_STREAM, EVERY_SEARCH = pytest.mark.parametrize("name", STREAMS), pytest.mark.parametrize("name", SEARCHES)


def good(name):
    return models().ed if name.startswith("ed") else models().d


@EVERY_STREAM
def test_streams_are_refused_before_they_start(name):
    """At the call, not when the first token is asked for."""
    stream, params, letter = STREAMS[name], good(name), "z" if name == "ed_stream" else "x"
    refused(ValueError, f"{name}: {letter}[1] is 11, outside [0, N_V) = [0, 11)", stream, [1, 11], params)
    refused(ValueError, f"{name}: {letter} is empty, at least one token is needed", stream, [], params)
    refused(ValueError, f"{name}: {letter} has shape (2, 1), expected one sequence", stream, [[1], [2]], params)
    refused(ValueError, f"{name}: temperature is 0, {FINITE}", stream, X, params, temperature=0)
    refused(TypeError, f"{name}: filters is of type int, expected filters", stream, X, params, filters=3)
    message = f"{name}: key is int, expected a key as `jax.random.key(seed)` makes it"
    refused(TypeError, message, stream, X, params, key=0)
    with pytest.raises(
        TypeError, match=f"^{name}: {letter} is traced, and tokens are given one by one: use it outside"
    ):
        jax.jit(lambda x: list(stream(x, params)))(X)


def test_streams_that_would_be_too_long():
    message = "d_stream: a prompt of 3 tokens and 4 more do not fit: ℓ + length - 1 = 6 is more than l_max = 5"
    refused(ValueError, message, STREAMS["d_stream"], X, models().d, length=4)
    assert len(list(STREAMS["d_stream"](X, models().d))) == 3
    message = "ed_stream: l_max is 6, more than the model's l_max = 5"
    refused(ValueError, message, STREAMS["ed_stream"], X, models().ed, l_max=6)


@EVERY_SEARCH
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"beam": 0}, ValueError, "beam is 0, expected an integer of at least 1"),
        ({"beam": 2.0}, ValueError, "beam is 2.0, expected an integer of at least 1"),
        ({"n_best": 0}, ValueError, "n_best is 0, expected an integer of at least 1"),
        ({"beam": 2, "n_best": 3}, ValueError, "n_best is 3, more than beam = 2"),
        ({"alpha": -0.1}, ValueError, "alpha is -0.1, expected a finite number of at least 0"),
        ({"alpha": np.nan}, ValueError, "alpha is nan, expected a finite number of at least 0"),
        ({"alpha": np.inf}, ValueError, "alpha is inf, expected a finite number of at least 0"),
        ({"alpha": "1"}, TypeError, "alpha is '1', expected a number"),
        ({"length": 0}, ValueError, "length is 0, expected an integer of at least 1"),
    ],
)
def test_searches_are_refused(name, changes, error, message):
    refused(error, f"{name}: {message}", SEARCHES[name], X, good(name), **changes)


@EVERY_SEARCH
def test_searches_with_nan(name):
    params = spoiled(good(name), "W_u", nan_at(2, 1))
    refused(ValueError, f"{name}: params.W_u holds nan, first at index [2, 1]", SEARCHES[name], X, params)
    found = jax.jit(lambda params: SEARCHES[name](X, params))(params)
    assert np.isnan(found.scores).all()
    assert (found.sequences == -1).all()


@EVERY_SEARCH
def test_a_traced_alpha_below_0(name):
    found = jax.jit(lambda alpha: SEARCHES[name](X, good(name), alpha=alpha))(-1.0)
    assert np.isnan(found.scores).all()
    assert (found.sequences == -1).all()


def test_searches_that_would_be_too_long():
    message = "d_beam_search: a prompt of 3 tokens and 4 more do not fit: ℓ + length - 1 = 6 is more than l_max = 5"
    refused(ValueError, message, SEARCHES["d_beam_search"], X, models().d, length=4)
    message = "ed_beam_search: length is 6, more than the model's l_max = 5"
    refused(ValueError, message, SEARCHES["ed_beam_search"], X, models().ed, length=6)
