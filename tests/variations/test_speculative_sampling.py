"""Speculative sampling: the pseudocode draws what its model would, the library draws what the pseudocode does."""

import inspect
import itertools
import textwrap
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from algorithms.algorithm_14_d_inference import d_inference
from algorithms.decoding.speculative_sampling import d_speculate, speculative_decoding_step
from formal_tx.crosscheck import cases, check, find
from formal_tx.crosscheck.compare import compare
from formal_tx.crosscheck.layout import to_paper
from formal_tx.crosscheck.variations import VARIATIONS, decoding
from formal_tx.inference import speculation

STEP, MODELS = (find(name, also=VARIATIONS) for name in ("speculative_sampling", "d_speculate"))


def case_of(variation, title):
    return next(case for case in cases.of(variation, 0, 1) if case.title == title)


# The pseudocode: over everything that can be drawn, its tokens have the distribution of M_p.

N_V = 3


def table(seed, zeros=False):
    """A model: a distribution for every list of tokens, some tokens of which have probability 0 if asked."""

    @cache
    def distribution(x):
        rng = np.random.default_rng([seed, *x])
        p = rng.dirichlet(np.ones(N_V))
        if zeros:
            p[rng.integers(N_V)] = 0
        return p / p.sum()

    return lambda x: distribution(tuple(x))


def steps(prefix, M_p, M_q, gamma):
    """Every way in which a step can go: the tokens that it adds, and the probability of this way."""
    for *x, last in itertools.product(range(N_V), repeat=gamma + 1):
        texts = [[*prefix, *x[:i]] for i in range(gamma)]
        q = np.array([M_q(text)[v] for text, v in zip(texts, x, strict=True)])
        if not q.all():
            continue
        accept = np.minimum(1, [M_p(text)[v] / q_i for text, v, q_i in zip(texts, x, q, strict=True)])
        for rejected in itertools.product([False, True], repeat=gamma):
            weight = np.prod(q) * np.prod(np.where(rejected, 1 - accept, accept))
            if weight > 0:
                # r is at one end of the numbers that accept a guess, or of those that reject it
                r, tokens, drawn_from = iter(np.where(rejected, accept, 0.0)), iter([*x, last]), []
                sample = lambda q, tokens=tokens, drawn_from=drawn_from: drawn_from.append(q) or next(tokens)  # noqa: E731
                found = speculative_decoding_step(prefix, M_p, M_q, gamma, r.__next__, sample)
                yield found[len(prefix) :], weight * drawn_from[-1][last]


def probability(texts, prefix, M_p, M_q, gamma):
    """The probability of each text (length, …) after the prefix, by as many steps as it takes."""
    length = texts.ndim
    found = np.zeros((N_V,) * length)
    for y, weight in steps(prefix, M_p, M_q, gamma):
        if len(y) >= length:
            found[tuple(y[:length])] += weight
        else:
            rest = texts[tuple(y)]
            found[tuple(y)] += weight * probability(rest, [*prefix, *y], M_p, M_q, gamma)
    return found


@pytest.mark.parametrize("gamma", [1, 2])
@pytest.mark.parametrize("zeros", [False, True])
def test_the_tokens_of_the_pseudocode_have_the_distribution_of_its_model(gamma, zeros):
    """The three tokens after a prompt, of which one to three are drawn in a step: exactly, not by sampling."""
    for seed in range(5):
        M_p, M_q, prefix = table(seed, zeros), table(seed + 100, zeros), [2, 0]
        expected = np.zeros((N_V,) * 3)
        for y in np.ndindex(expected.shape):
            expected[y] = np.prod([M_p([*prefix, *y[:i]])[y[i]] for i in range(3)])
        found = probability(expected, prefix, M_p, M_q, gamma)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
        assert abs(expected.sum(axis=(1, 2)) - M_q(prefix)).max() > 0.01  # not what the small model would draw


def test_the_paper_s_sign_would_accept_what_has_no_probability_if_0_is_drawn():
    p, q = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    found = speculative_decoding_step([], lambda x: p, lambda x: q, 1, lambda: 0.0, lambda q: int(np.argmax(q)))
    assert found == [1]


def test_the_text_of_the_pseudocode_is_algorithm_14_s_where_nothing_is_left_to_chance():
    """With a temperature near 0 every distribution is one token's, whichever the small model guesses."""
    a = case_of(MODELS, "random 1").arguments
    theta_p, theta_q = (to_paper(params) for params, _ in a["models"])
    x, likeliest = a["x"].tolist(), lambda q: int(np.argmax(q))
    expected = d_inference(x, theta_p, 9, 1e-2, likeliest)
    assert len(set(expected)) > 1
    assert d_inference(x, theta_q, 9, 1e-2, likeliest) != expected
    for gamma in (1, 2, 4):
        assert d_speculate(x, theta_p, theta_q, 9, 1e-2, gamma, lambda: 0.5, likeliest) == expected


# The check: it agrees, sees every line, and its cases are what they are called.


def test_every_line_of_a_pass_is_compared(x64):
    differences = compare(MODELS, case_of(MODELS, "two tokens each"), "float64")
    assert {d.number for d in differences} == {s.number for s in MODELS.listing.assigned}
    assert max(d.error for d in differences) <= 1e-13


@pytest.mark.parametrize(
    ("title", "n"),
    [
        ("all accepted", 3),
        ("the first rejected", 0),
        ("the second rejected", 1),
        ("p = q", 3),
        ("no token in common", 0),
        ("tokens of probability 0", 1),
        ("ties", 2),
    ],
)
def test_a_case_is_what_it_is_called(x64, title, n):
    case = case_of(STEP, title)
    arguments, _ = STEP.paper_arguments(case)
    assert len(speculative_decoding_step(*arguments)) == len(case.arguments["prefix"]) + n + 1
    assert all(d.agrees for d in compare(STEP, case, "float64"))


@pytest.mark.parametrize(("gamma", "shaped"), [(1, ""), (3, ""), (3, 2), (2, "unseen")])
def test_a_text_of_many_passes_is_the_pseudocode_s_token_by_token(x64, gamma, shaped):
    """The public function, with the temperature 0.7; the random numbers of a position are its own in both editions."""
    case = case_of(MODELS, "random 1")
    a = case.arguments | {"gamma": gamma, "tau": 0.7, "filters": shaped, "x": case.arguments["x"][:3]}
    length, text, passes = (5 if shaped == "unseen" else 9), a["x"].tolist(), 0
    while len(text) < 3 + length:
        arguments, _ = MODELS.paper_arguments(replace(case, arguments=a | {"x": np.array(text)}))
        text, passes = speculative_decoding_step(*arguments), passes + 1
    (params, hp), (small, small_hp) = a["models"]
    options = {"length": length, "guesses": gamma, "temperature": 0.7, "filters": decoding._filters(shaped)[0]}
    key = jax.random.key(a["seed"])
    found = speculation.d_speculate(a["x"], params, hp, small, small_hp, key=key, **options)
    assert found.tokens.tolist() == text[3 : 3 + length]
    assert found.passes == passes


# A check that cannot fail shows nothing: each of these is a mistake that somebody has made, in the library's source.


@pytest.fixture
def plant(monkeypatch):
    """Puts a mistake into a function of the module; it must not outlive its test in a compiled function."""

    def put(name, right, wrong):
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(getattr(speculation, name))))
        assert source.count(right) == 1
        namespace = dict(vars(speculation))
        exec(source.replace(right, wrong), namespace)
        monkeypatch.setattr(speculation, name, namespace[name])

    def forget():
        jax.clear_caches()
        decoding._one_pass.cache_clear()

    forget()
    yield put
    forget()


@pytest.mark.parametrize(
    ("right", "wrong", "number"),
    [
        ("r * q_x < p_x", "r * q_x > p_x", 7),
        ("r * q_x < p_x", "r * q_x <= p_x", 7),
        ("r * q_x < p_x", "r * p_x < q_x", 7),
        ("r * q_x < p_x", "r < p_x", 7),
        ("jnp.cumprod(r * q_x < p_x)", "(r * q_x < p_x)", 7),
        ('"p_prime", p[n])', '"p_prime", p[n - 1])', 8),
        ("jnp.maximum(", "jnp.add(", 10),
        ("p_prime - jnp.pad(q", "-p_prime + jnp.pad(q", 10),
        ("left / left.sum()", "left", 10),
        ("((0, 1), (0, 0))", "((1, 0), (0, 0))", 10),
        ("jnp.pad(q, ((0, 1), (0, 0)))", 'jnp.pad(q, ((0, 1), (0, 0)), "edge")', 12),
        ("sample(p_prime, n)", "sample(p[n], n)", 12),
        ("sample(p_prime, n)", "sample(q[0], n)", 12),
    ],
)
def test_a_mistake_in_what_is_accepted_and_drawn_shows_in_its_line(plant, right, wrong, number):
    plant("speculative_sampling", right, wrong)
    comparison = check(STEP, cases=3)
    assert not comparison.agrees
    assert comparison.first_bad.number == number


@pytest.mark.parametrize(
    ("function", "right", "wrong", "title", "number"),
    [
        ("_guess", "drawing.temperature", "1.0", "one guess, a temperature", 2),
        ("_guess", "_key(key, t + 1 + i, 0)", "_key(key, t + i, 0)", "one guess, a temperature", 3),
        ("speculate", "(logits, drawing.temperature", "(logits, 1.0", "one guess, a temperature", 5),
        ("speculate", "jnp.append(text[t], x), t,", "jnp.append(text[t], x), t + 1,", "one guess, a temperature", 5),
        ("speculate", "_seen_after(seen, x))", "jnp.repeat(seen[None], guesses + 1, 0))", "no token twice", 5),
        pytest.param(
            "_uniform", "_key(key, t, 1)", "_key(key, t, 0)", "one guess, a temperature", 6, marks=pytest.mark.slow
        ),
        ("speculate", "_key(key, t + 1 + n, 2)", "_key(key, t + n, 2)", "one guess, a temperature", 12),
    ],
)
def test_a_mistake_around_the_models_shows_in_its_line(x64, plant, function, right, wrong, title, number):
    plant(function, right, wrong)
    differences = compare(MODELS, case_of(MODELS, title), "float64")
    assert next(d.number for d in differences if not d.agrees) == number


# What the paper's numbers never do.


def test_a_guess_that_only_rounding_rejects_is_followed_by_a_token_of_the_large_model():
    p = jnp.asarray([[0.5, 0.25, 0.0], [0.0, 0.0, 1.0]])
    q = jnp.asarray([[0.75, 0.25, 0.0]])  # nowhere less than p: nothing is left to draw from
    seen = []
    n, t = speculation.speculative_sampling(
        p, q, jnp.asarray([0]), jnp.asarray([0.9]), lambda q, n: seen.append(q) or jnp.argmax(q)
    )
    assert (int(n), int(t)) == (0, 0)
    np.testing.assert_array_equal(seen[0], p[0])
