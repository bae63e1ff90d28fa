"""The filters of logits: what each keeps, in both editions, and the distribution that is drawn from after them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import formal_tx
from algorithms import decoding as paper
from algorithms.notation import softmax
from formal_tx.inference import draw, filters

from .strategies import D, close, normal, random_model, seeds, some, tokens

N_V = 13
COUNTS, SHARES = st.integers(1, N_V + 2), st.floats(0.01, 1.0)


def logits_of(seed):
    """Logits of which some are equal and some are -inf."""
    rng = np.random.default_rng(seed)
    logits = normal(seed, N_V).round(int(rng.integers(0, 3)))
    logits[rng.random(N_V) < 0.2] = -np.inf
    logits[rng.integers(N_V)] = 1.0
    return logits


def ids(kept):
    return set(np.flatnonzero(np.asarray(kept) > -np.inf).tolist())


def same(found, expected):
    """The same tokens kept, and the logits of those that were kept untouched but for rounding."""
    np.testing.assert_array_equal(np.isneginf(found), np.isneginf(expected))
    close(found, expected)


@some
@given(seed=seeds, k=COUNTS, p=SHARES)
def test_the_editions_agree(seed, k, p):
    logits = logits_of(seed)
    same(filters.temperature(p)(logits), paper.temperature(logits, p))
    same(filters.greedy()(logits), paper.greedy(logits))
    same(filters.top_k(k)(logits), paper.top_k(logits, k))
    same(filters.top_p(p)(logits), paper.top_p(logits, p))
    same(filters.top_p(1)(logits), paper.top_p(logits, 1))
    same(filters.min_p(p)(logits), paper.min_p(logits, p))
    seen = np.random.default_rng(seed).integers(0, 3, N_V)
    expected = paper.repetition_penalty(logits, set(np.flatnonzero(seen)), 2 * p)
    same(filters.repetition_penalty(2 * p)(logits, seen), expected)
    same(filters.repetition_penalty(2 * p)(logits, seen > 0), expected)


@some
@given(seed=seeds, k=COUNTS)
def test_top_k_keeps_k(seed, k):
    """Exactly k of those that there are, by value and then by id, as a stable sort has them."""
    logits = logits_of(seed)
    there = sorted(ids(logits), key=lambda v: (-logits[v], v))
    assert ids(filters.top_k(k)(logits)) == set(there[:k])


@some
@given(seed=seeds, p=SHARES)
def test_top_p_is_the_smallest_set_that_reaches_p(seed, p):
    logits = normal(seed, N_V)
    P = softmax(logits)
    kept = P[list(ids(filters.top_p(p)(logits)))]
    assert kept.sum() >= p - 1e-12
    assert kept.sum() - kept.min() < p
    assert set(kept) == set(np.sort(P)[::-1][: len(kept)])


@pytest.mark.parametrize(
    ("one", "kept"),
    [
        (filters.top_k(1), {1}),
        (filters.top_k(2), {1, 3}),
        (filters.top_k(3), {1, 3, 0}),
        (filters.top_k(4), {0, 1, 2, 3}),
        (filters.top_k(99), {0, 1, 2, 3}),
        (filters.top_p(0.3), {1}),
        (filters.top_p(0.5), {1, 3}),
        (filters.top_p(0.7), {1, 3}),
        (filters.top_p(0.8), {1, 3, 0}),
        (filters.top_p(1.0), {0, 1, 2, 3}),
        (filters.min_p(0.3), {0, 1, 2, 3}),
        (filters.min_p(0.9), {1, 3}),
        (filters.min_p(1.0), {1, 3}),
        (filters.greedy(), {1}),
    ],
)
def test_ties(one, kept):
    """P = 1/8, 3/8, 1/8, 3/8: of equal tokens the one with the lower id comes first; min_p alone keeps equals."""
    assert ids(one(np.log([1 / 8, 3 / 8, 1 / 8, 3 / 8]))) == kept


def test_by_hand():
    """CTRL's penalty, and its order with what follows: the penalised token drops out of the two likeliest."""
    logits = np.array([2.0, -1.0, 1.5, 0.0])
    seen = np.array([True, True, False, True])
    close(filters.repetition_penalty(2.0)(logits, seen), [1.0, -2.0, 1.5, 0.0])
    close(filters.temperature(0.5)(logits), [4.0, -2.0, 3.0, 0.0])
    first = filters.compose(filters.repetition_penalty(4.0), filters.top_k(1))
    last = filters.compose(filters.top_k(1), filters.repetition_penalty(4.0))
    assert ids(first(logits, seen)) == {2}
    assert ids(last(logits, seen)) == {0}


EVERY = pytest.mark.parametrize(
    "one",
    [
        filters.temperature(0.7),
        filters.greedy(),
        filters.top_k(3),
        filters.top_p(0.8),
        filters.min_p(0.2),
        filters.repetition_penalty(1.5),
        filters.compose(filters.repetition_penalty(1.5), filters.temperature(0.7), filters.top_k(4)),
    ],
    ids=["temperature", "greedy", "top_k", "top_p", "min_p", "repetition_penalty", "compose"],
)


@EVERY
def test_a_batch_is_a_loop_is_a_vmap(one):
    logits, seen = np.stack([logits_of(i) for i in range(6)]), normal(1, 6, N_V) > 0
    alone = [one(row, was) for row, was in zip(logits, seen, strict=True)]
    close(one(logits, seen), alone)
    close(one(logits.reshape(2, 3, N_V), seen.reshape(2, 3, N_V)).reshape(6, N_V), alone)
    close(jax.jit(jax.vmap(lambda logits, seen: one(logits, seen)))(logits, seen), alone)


@EVERY
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_types_infinities_and_nan(one, dtype):
    """The type stays, -inf stays -inf, nan stays nan, and a row that is all -inf stays so."""
    logits = jnp.asarray([[-jnp.inf, 1, 2, 0.5, jnp.nan], [-jnp.inf, 1, 2, 0.5, 3], [-jnp.inf] * 5], dtype)
    filtered = one(logits, jnp.ones(logits.shape, bool))
    assert filtered.dtype == logits.dtype
    assert np.isneginf(np.asarray(filtered, float))[:, 0].all()
    assert jnp.isnan(filtered[0, 4])
    assert not jnp.isnan(filtered[1]).any()
    assert np.isneginf(np.asarray(filtered[2], float)).all()


@pytest.mark.parametrize(
    ("make", "bad"),
    [
        (filters.temperature, [0.0, -1.0, np.nan]),
        (filters.top_k, [0, -1]),
        (filters.top_p, [0.0, -0.1, 1.1, np.nan]),
        (filters.min_p, [0.0, -0.1, 1.1, np.nan]),
        (filters.repetition_penalty, [0.0, -1.0, np.nan]),
    ],
)
def test_a_traced_number_out_of_range_gives_nan(make, bad):
    @jax.jit
    def filtered(number):
        return make(number)(jnp.arange(4.0), jnp.ones(4, bool))

    for number in bad:
        assert jnp.isnan(filtered(number)).all()
    assert not jnp.isnan(filtered(1)).any()


@pytest.mark.parametrize("tau", [1e-30, 1e-37, 1e-38])
def test_a_temperature_that_would_overflow(tau):
    """Nothing becomes infinite or nan, and the likeliest tokens, which are equal, keep half of the probability each."""
    with jax.enable_x64(False):
        logits = jnp.asarray([30.0, 1.0, 30.0, -40.0, -jnp.inf, 29.9999])
        close(jax.nn.softmax(filters.temperature(tau)(logits)), [0.5, 0, 0.5, 0, 0, 0])


def test_another_number_compiles_nothing():
    traces = []

    @jax.jit
    def run(one, logits):
        traces.append(one)
        return one(logits)

    for k, p in [(1, 0.3), (np.int64(5), np.float32(0.5)), (jnp.asarray(3), jnp.asarray(0.9)), (99, 1)]:
        run(filters.compose(filters.top_k(k), filters.top_p(p)), jnp.arange(5.0))
    assert len(traces) == 1


# What is drawn

DRAWN = {
    "nothing": (),
    "temperature": (filters.temperature(0.6),),
    "top_k": (filters.top_k(4),),
    "top_p": (filters.top_p(0.8),),
    "min_p": (filters.min_p(0.3),),
    "repetition_penalty": (filters.repetition_penalty(1.7),),
    "all": (
        filters.repetition_penalty(1.3),
        filters.temperature(1.5),
        filters.top_k(8),
        filters.top_p(0.9),
        filters.min_p(0.05),
    ),
}


def exact(name, logits, tau, seen):
    """The distribution that is to be drawn from, by the pseudocode."""
    logits = paper.temperature(logits, tau)
    steps = {
        "nothing": [],
        "temperature": [(paper.temperature, 0.6)],
        "top_k": [(paper.top_k, 4)],
        "top_p": [(paper.top_p, 0.8)],
        "min_p": [(paper.min_p, 0.3)],
        "repetition_penalty": [(paper.repetition_penalty, seen, 1.7)],
        "all": [
            (paper.repetition_penalty, seen, 1.3),
            (paper.temperature, 1.5),
            (paper.top_k, 8),
            (paper.top_p, 0.9),
            (paper.min_p, 0.05),
        ],
    }
    for step, *arguments in steps[name]:
        logits = step(logits, *arguments)
    return softmax(logits)


@partial(jax.jit, static_argnames="n")
def many_draws(logits, tau, key, filters_, seen, n):
    return jax.vmap(lambda t: draw(logits, tau, jax.random.fold_in(key, t), filters_, seen))(jnp.arange(n))


def p_value(observed, q):
    """That of the χ² test; what cannot be drawn has not been."""
    assert not observed[q == 0].any()
    return stats.chisquare(observed[q > 0], observed.sum() * q[q > 0]).pvalue


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("tau", [1.0, 0.7])
def test_100_000_draws_have_the_exact_distribution(name, tau):
    """Every token whose logit is not -inf is drawn as often as it should be (χ², p > 0.001), and no other is."""
    logits, seen = normal(3, N_V) / 2, np.arange(N_V) % 2 == 0
    y = many_draws(logits, tau, jax.random.key(4), DRAWN[name], seen, 100_000)
    q = exact(name, logits, tau, set(np.flatnonzero(seen)))
    assert (q > 0).sum() > 1
    assert (100_000 * q[q > 0]).min() > 5
    assert p_value(np.bincount(np.asarray(y), minlength=N_V), q) > 1e-3


def test_another_distribution_fails_the_test():
    """The χ² test sees a temperature that is one per cent off."""
    logits = normal(3, N_V)
    y = many_draws(logits, 1.0, jax.random.key(4), (), None, 100_000)
    q = exact("nothing", logits, 1.03, set())
    assert p_value(np.bincount(np.asarray(y), minlength=N_V), q) < 1e-3


def test_100_000_first_tokens_of_algorithm_14():
    """The same through `d_inference`, whose seen tokens are those of the prompt and whose temperature comes first."""
    x, params, n = tokens(0, 3), random_model(0, D), 100_000
    y = formal_tx.d_inference(
        np.tile(x, (n, 1)), params, D, length=1, temperature=0.7, key=jax.random.key(2), filters=DRAWN["all"]
    )
    logits = np.asarray(formal_tx.d_transformer_logits(x, params, D))[-1]
    q = exact("all", logits, 0.7, set(x.tolist()))
    assert p_value(np.bincount(np.asarray(y)[:, 0], minlength=D.N_V), q) > 1e-3
