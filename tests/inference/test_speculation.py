"""Speculative decoding: the distribution of Algorithm 14 whatever the small model guesses, and its tokens if greedy."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from formal_tx import DTransformerHyperparameters, d_transformer_logits, init_d_transformer
from formal_tx.inference import d_inference, d_speculate, filters
from formal_tx.quantization import quantize

HP = DTransformerHyperparameters(l_max=40, L=2, H=2, d_e=8, d_mlp=16, N_V=6)
SMALL = DTransformerHyperparameters(l_max=30, L=1, H=1, d_e=4, d_mlp=8, N_V=6)
KEY = jax.random.key(0)
X = np.array([0, 1, 2])


def sharp(hp, seed):
    """Parameters whose distributions are far from uniform."""
    return jax.tree.map(lambda W: 3 * W, init_d_transformer(jax.random.key(seed), hp))


LARGE = sharp(HP, 1), HP
OTHER = sharp(SMALL, 2), SMALL


def joint(params, hp, shaped):
    """The probabilities (N_V, N_V, N_V) of the three tokens after X, by definition."""
    N_V = hp.N_V
    texts = np.array([[*X, a, b, c] for a in range(N_V) for b in range(N_V) for c in range(N_V)])
    p = np.asarray(jax.nn.softmax(shaped(d_transformer_logits(texts, params, hp))), float)
    return np.prod([p[np.arange(N_V**3), len(X) + i - 1, texts[:, len(X) + i]] for i in range(3)], axis=0)


def p_value(expected, found):
    """Of a χ² test of token triples `found` (n, 3); what is expected less than five times is one cell."""
    counts = np.bincount(found @ np.array([HP.N_V**2, HP.N_V, 1]), minlength=HP.N_V**3)
    expected = expected * len(found)
    often = expected >= 5
    counts, expected = ((np.append(a[often], a[~often].sum())) for a in (counts, expected))
    assert counts[-1] == 0 or expected[-1] > 0
    keep = expected > 0
    return stats.chisquare(counts[keep], expected[keep] * counts.sum() / expected[keep].sum()).pvalue


def speculated(guesses, n=8000, **options):
    keys = jax.random.split(KEY, n)
    return np.asarray(
        jax.vmap(lambda key: d_speculate(X, *LARGE, *OTHER, length=3, guesses=guesses, key=key, **options).tokens)(keys)
    )


@pytest.mark.parametrize("guesses", [1, 2, 4])
def test_the_distribution_is_that_of_the_large_model(guesses):
    found = speculated(guesses)
    assert p_value(joint(*LARGE, lambda logits: logits), found) > 1e-3
    assert p_value(joint(*OTHER, lambda logits: logits), found) < 1e-9


def test_the_distribution_with_a_temperature_and_a_filter():
    found = speculated(2, temperature=0.7, filters=filters.top_k(3))
    expected = joint(*LARGE, lambda logits: filters.top_k(3)(logits / 0.7))
    assert (expected[found @ np.array([HP.N_V**2, HP.N_V, 1])] > 0).all()
    assert p_value(expected, found) > 1e-3


@pytest.mark.parametrize("guesses", [pytest.param(1, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("small", [OTHER, (quantize(LARGE[0]), HP)], ids=["another model", "the same in int8"])
def test_greedy_tokens_are_those_of_algorithm_14(small, guesses):
    """With a filter that looks at what came before as well: guesses count as seen when the next is checked."""
    for shaped in ((filters.greedy(),), (filters.repetition_penalty(3.0), filters.greedy())):
        options = {"length": 12, "key": KEY, "filters": shaped}
        found = d_speculate(X, *LARGE, *small, guesses=guesses, **options)
        assert (found.tokens == d_inference(X, *LARGE, **options)).all()
        assert 12 / (guesses + 1) <= int(found.passes) <= 12


def test_guesses_of_the_model_itself_are_right():
    assert d_speculate(X, *LARGE, *LARGE, length=12, guesses=3, key=KEY).passes == 3


def test_tokens_that_end_a_text():
    whole = d_speculate(X, *LARGE, *OTHER, length=12, key=KEY).tokens
    end = int(whole[4])
    first = list(whole).index(end)
    found = d_speculate(X, *LARGE, *OTHER, length=12, key=KEY, stop=[end])
    assert list(found.tokens) == [*whole[:first], *[end] * (12 - first)]


def test_a_text_begins_as_a_longer_one_with_the_same_key():
    long = d_speculate(X, *LARGE, *OTHER, length=9, key=KEY).tokens
    short = d_speculate(X, *LARGE, *OTHER, length=5, key=KEY).tokens
    assert (short == long[:5]).all()


def test_nan_is_traced_to_its_source():
    spoiled = OTHER[0].replace(W_u=OTHER[0].W_u.at[2, 1].set(jnp.nan))
    message = r"^d_speculate, the small model: params.W_u holds nan, first at index \[2, 1\]"
    with pytest.raises(ValueError, match=message):
        d_speculate(X, *LARGE, spoiled, SMALL, length=5, key=KEY)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"guesses": 0}, ValueError, "d_speculate: guesses is 0, expected an integer of at least 1"),
        ({"length": 0}, ValueError, "d_speculate: length is 0, expected an integer of at least 1"),
        ({"length": 25}, ValueError, "d_speculate: a prompt of 3 tokens and 29 more do not fit: ℓ + length - 1 = 31"),
        ({"x": X[None]}, ValueError, "d_speculate: x has shape (1, 3), expected one sequence"),
        ({"temperature": 0}, ValueError, "d_speculate: temperature is 0, expected a finite number greater than 0"),
        ({"key": 0}, TypeError, "d_speculate: key is int, expected a key"),
        (
            {"small_params": LARGE[0]},
            ValueError,
            "d_speculate, the small model: params.W_e has shape (6, 8), expected (6, 4)",
        ),
        (
            {"small_hyperparameters": DTransformerHyperparameters(l_max=30, L=1, H=1, d_e=4, d_mlp=8, N_V=7)},
            ValueError,
            "d_speculate: the small model has N_V = 7, expected 6, the large one's",
        ),
    ],
)
def test_what_is_refused(changes, error, message):
    small_hp = changes.get("small_hyperparameters", SMALL)
    arguments = {
        "x": X,
        "params": LARGE[0],
        "hyperparameters": HP,
        "small_params": sharp(small_hp, 2),
        "small_hyperparameters": small_hp,
        "length": 5,
        "key": KEY,
    }
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        d_speculate(**arguments | changes)
