"""What the encodings say of input that they cannot use; bad input is never answered with a plausible number."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
    d_transformer,
    init_d_transformer,
)
from formal_tx.embedding import positional_embedding
from formal_tx.positional import (
    Alibi,
    RelativeBuckets,
    Rotary,
    interleaved_sinusoids,
    sinusoid_halves,
    whisper_sinusoids,
)
from formal_tx.positional.learnable_sinusoids import (
    init_learnable_sinusoids,
    learnable_sinusoids,
    sinusoid_frequencies,
)
from formal_tx.positional.no_positions import (
    count_from_start,
    fit_probe,
    random_features,
    read_positions,
    without_positions,
)

from .encodings import normal

KEY = jax.random.key(0)
WIDTHS = {"l_max": 8, "H": 2, "d_e": 6, "d_mlp": 5, "N_V": 7}


def refused(message, f, *args, error=ValueError, **given):
    with pytest.raises(error) as caught:
        f(*args, **given)
    assert str(caught.value) == message


# An odd number of features, a base


@pytest.mark.parametrize("table", [interleaved_sinusoids, sinusoid_halves, whisper_sinusoids])
def test_a_table_of_an_odd_width(table):
    refused("sinusoidal positions: d_e is 5, expected an even number", table, 8, 5)


def test_rotations_of_an_odd_number_of_features_or_of_more_than_there_are():
    X, t = jnp.zeros((3, 6)), jnp.arange(3)
    refused("Rotary: size is 3, expected an even number of features to turn", Rotary, size=3)
    refused("Rotary: size is 0, expected an integer of at least 2", Rotary, size=0)
    refused("Rotary: 8 of d_attn = 6 features cannot turn in pairs", Rotary(size=8), X, t)
    refused("Rotary: 5 of d_attn = 5 features cannot turn in pairs", Rotary(), X[:, :5], t)


@pytest.mark.parametrize("base", [1, 0.5])
def test_a_base_that_is_not_greater_than_1(base):
    expected = f"base is {base}, expected a number greater than 1"
    refused(f"Rotary: {expected}", Rotary, base=base)
    refused(f"sinusoid_frequencies: {expected}", sinusoid_frequencies, 6, base)
    params = init_learnable_sinusoids(KEY, 6)
    refused(f"sinusoid_frequencies: {expected}", learnable_sinusoids, [0], params, base=base)
    refused(f"sinusoid_frequencies: {expected}", init_learnable_sinusoids, KEY, 6, learned_frequencies=True, base=base)


@pytest.mark.parametrize("base", [0, -2.0, np.nan, np.inf])
def test_a_base_that_is_no_number_greater_than_0(base):
    expected = f"base is {base}, expected a finite number greater than 0"
    refused(f"sinusoid_frequencies: {expected}", sinusoid_frequencies, 6, base)
    refused(f"Rotary: {expected}", Rotary, base=base)


# Positions


def test_positions_beyond_a_learned_table():
    W_p = normal(0, 4, 3)
    refused("positional_embedding: t is 4, outside [0, l_max) = [0, 4)", positional_embedding, 4, W_p)
    refused("positional_embedding: t[1] is -1, outside [0, l_max) = [0, 4)", positional_embedding, [0, -1], W_p)
    rows = jax.jit(lambda t: positional_embedding(t, W_p))(jnp.array([3, 4, -1, 1000]))
    assert np.isnan(rows).tolist() == [[False] * 3, [True] * 3, [True] * 3, [True] * 3], "neither clamped nor wrapped"


def test_positions_between_the_rows_of_a_table():
    found = "positional_embedding: t has dtype float64, expected integers"
    refused(found, positional_embedding, np.array([0.5]), normal(0, 4, 3), error=TypeError)


@pytest.mark.parametrize("encoding", [{}, {"table": interleaved_sinusoids}, {"table": None}])
def test_a_text_beyond_l_max(encoding):
    hp = DTransformerHyperparameters(**WIDTHS, L=1, **encoding)
    params = init_d_transformer(KEY, hp)
    refused("d_transformer: x has 9 tokens, more than l_max = 8", d_transformer, [1] * 9, params, hp)


@pytest.mark.parametrize(
    ("t", "where", "value"), [([3, -1], "1", "-1"), ([[0.0], [np.nan]], "1, 0", "nan"), ([np.inf], "0", "inf")]
)
def test_positions_of_a_network_below_0_or_no_numbers(t, where, value):
    message = f"learnable_sinusoids: t[{where}] is {value}, expected a finite number of at least 0"
    refused(message, learnable_sinusoids, t, init_learnable_sinusoids(KEY, 6))


def test_traced_positions_of_a_network_below_0():
    params = init_learnable_sinusoids(KEY, 6)
    rows = jax.jit(lambda t: learnable_sinusoids(t, params))(jnp.array([0, -1, 5]))
    assert np.isnan(rows).all(axis=1).tolist() == [False, True, False]
    assert np.isfinite(rows[::2]).all()


def test_positions_of_a_network_that_are_none():
    params = init_learnable_sinusoids(KEY, 6)
    refused("learnable_sinusoids: t has shape (), expected (..., l)", learnable_sinusoids, 3, params)
    found = "learnable_sinusoids: t has dtype bool, expected positions"
    refused(found, learnable_sinusoids, [True, False], params, error=TypeError)
    found = "learnable_sinusoids: t is None, expected an array of numbers"
    refused(found, learnable_sinusoids, None, params, error=TypeError)


# The network


@pytest.mark.parametrize("d_e", [5, 1, 0, -2, 2.0, True])
def test_a_network_of_a_width_that_it_cannot_have(d_e):
    expected = "an even number" if d_e == 5 else "an integer of at least 2"
    refused(f"sinusoid_frequencies: d_e is {d_e}, expected {expected}", sinusoid_frequencies, d_e)
    with pytest.raises(ValueError, match=re.escape(f"is {d_e}, expected")):
        init_learnable_sinusoids(KEY, d_e)


@pytest.mark.parametrize("d_ff", [0, -1, 2.0])
def test_a_network_without_a_hidden_layer(d_ff):
    refused(
        f"init_learnable_sinusoids: d_ff is {d_ff}, expected an integer of at least 1",
        init_learnable_sinusoids,
        KEY,
        6,
        d_ff,
    )


def test_parameters_that_do_not_fit_each_other():
    name, W = "learnable_sinusoids", init_learnable_sinusoids(KEY, 6, 4)
    refused(
        f"{name}: params.b_1 has shape (5,), expected (d_ff,) with d_ff = 4, the size that params.W_1 gives it; here "
        "it is 5",
        learnable_sinusoids,
        [0],
        W.replace(b_1=jnp.zeros(5)),
    )
    refused(f"{name}: d_e is 5, expected an even number", learnable_sinusoids, [0], _odd(W))
    refused(
        f"{name}: params.omega has shape (6,), expected (3,): d_e/2 frequencies",
        learnable_sinusoids,
        [0],
        W.replace(omega=jnp.ones(6)),
    )
    refused(
        f"{name}: params is a tuple, expected LearnableSinusoidsParameters, as init_learnable_sinusoids makes it",
        learnable_sinusoids,
        [0],
        (W.W_1, W.b_1),
        error=TypeError,
    )
    refused(
        f"{name}: params.W_1 has dtype int32, expected a floating dtype",
        learnable_sinusoids,
        [0],
        W.replace(W_1=W.W_1.astype(jnp.int32)),
        error=TypeError,
    )


def _odd(W):
    return W.replace(W_1=W.W_1[:, :5], W_2=W.W_2[:5], b_2=W.b_2[:5])


def test_options_that_are_none():
    W = init_learnable_sinusoids(KEY, 6)
    found = "learnable_sinusoids: activation is 'gelu', expected a function"
    refused(found, learnable_sinusoids, [0], W, activation="gelu", error=TypeError)
    found = "learnable_sinusoids: residual is 1, expected True or False"
    refused(found, learnable_sinusoids, [0], W, residual=1, error=TypeError)
    found = "init_learnable_sinusoids: learned_frequencies is 1, expected True or False"
    refused(found, init_learnable_sinusoids, KEY, 6, learned_frequencies=1, error=TypeError)


def test_a_network_with_nan_is_named():
    W = init_learnable_sinusoids(KEY, 6)
    W = W.replace(b_2=W.b_2.at[4].set(jnp.nan))
    refused("learnable_sinusoids: params.b_2 holds nan, first at index [4]", learnable_sinusoids, [0], W)


# Buckets, heads


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rows": 31}, "rows is 31, expected an even number: half of them for each direction"),
        ({"rows": 2}, "rows is 2, expected an integer of at least 4"),
        ({"rows": 0, "bidirectional": False}, "rows is 0, expected an integer of at least 2"),
        ({"rows": -32}, "rows is -32, expected an integer of at least 4"),
        ({"furthest": 8}, "furthest is 8, expected an integer of at least 9"),
        ({"furthest": 16, "bidirectional": False}, "furthest is 16, expected an integer of at least 17"),
        ({"furthest": 0}, "furthest is 0, expected an integer of at least 9"),
        ({"furthest": 99.5}, "furthest is 99.5, expected an integer of at least 9"),
    ],
)
def test_buckets_that_cannot_be(given, message):
    refused(f"RelativeBuckets: {message}", RelativeBuckets, **given)


@pytest.mark.parametrize("H", [0, -1])
@pytest.mark.parametrize("score", [Alibi(), RelativeBuckets()])
def test_a_model_without_heads(H, score):
    found = f"H is {H}, expected an integer of at least 1"
    refused(found, DTransformerHyperparameters, **WIDTHS | {"H": H, "d_attn": 3, "d_mid": 3}, L=1, score=score)


# NoPE


@pytest.mark.parametrize(
    "encoder", [ETransformerHyperparameters(**WIDTHS, L=1), EDTransformerHyperparameters(**WIDTHS, L_enc=1, L_dec=1)]
)
def test_an_encoder_that_is_told_no_positions_is_warned_of(encoder):
    with pytest.warns(UserWarning, match="without_positions: an encoder without positions sees a bag of tokens"):
        assert without_positions(encoder).table is None


def test_a_score_of_which_it_is_not_known_what_it_reads():
    hp = DTransformerHyperparameters(**WIDTHS, L=1, score=max)
    refused(
        "without_positions: score is <built-in function max>, expected one of which it is known whether it reads "
        "positions",
        without_positions,
        hp,
    )
    found = "without_positions: hyperparameters is a dict, expected those of an architecture"
    refused(found, without_positions, {}, error=TypeError)


def test_tokens_that_are_not_told_apart():
    X = np.asarray(normal(0, 4, 3)).copy()
    X[:, 2] = [1, 0, 0.25, 0]
    v = np.eye(3)[2]
    expected = "expected 1 for the first token and 0 for the others"
    refused(f"count_from_start: v · X[2] is 0.25, {expected}", count_from_start, X, v)
    refused(f"count_from_start: v · X[0] is 2, {expected}", count_from_start, 2 * X * [[1], [0], [0], [0]], v)
    assert np.isnan(jax.jit(count_from_start)(X, v)).all()
    refused(
        "count_from_start: X has shape (4, 2), expected (..., l, d_x) with d_x = 3, the size that v gives it; here it "
        "is 2",
        count_from_start,
        X[:, :2],
        v,
    )


@pytest.mark.parametrize("penalty", [0, -1.0, np.nan, np.inf])
def test_a_penalty_that_is_none(penalty):
    R, c = random_features(KEY, 3, 5)
    message = f"fit_probe: penalty is {penalty}, expected a finite number greater than 0"
    refused(message, fit_probe, normal(0, 4, 3), jnp.arange(4), R, c, penalty)


def test_states_and_positions_that_do_not_fit():
    R, c = random_features(KEY, 3, 5)
    X = normal(0, 4, 3)
    name = "fit_probe"
    refused(
        f"{name}: t has shape (5,), expected (..., n) with n = 4, the size that X gives it; here it is 5",
        fit_probe,
        X,
        jnp.arange(5),
        R,
        c,
    )
    refused(
        f"{name}: t has shape (2, 4), expected (4,): a position for each token of X",
        fit_probe,
        X,
        jnp.zeros((2, 4)),
        R,
        c,
    )
    refused(
        f"{name}: X has shape (4, 2), expected (..., n, d_e) with d_e = 3, the size that R gives it; here it is 2",
        fit_probe,
        X[:, :2],
        jnp.arange(4),
        R,
        c,
    )
    W = fit_probe(X, jnp.arange(4), R, c)
    refused(
        "read_positions: X has shape (4, 2), expected (..., n, d_e) with d_e = 3, the size that params.R gives it; "
        "here it is 2",
        read_positions,
        X[:, :2],
        W,
    )
    found = "read_positions: params is a tuple, expected ProbeParameters, as fit_probe makes it"
    refused(found, read_positions, X, (R, c), error=TypeError)


@pytest.mark.parametrize(("name", "sizes"), [("d_e", (0, 5)), ("d_f", (5, 0)), ("d_f", (5, -1))])
def test_features_that_are_none(name, sizes):
    value = dict(zip(("d_e", "d_f"), sizes, strict=True))[name]
    found = f"random_features: {name} is {value}, expected an integer of at least 1"
    refused(found, random_features, KEY, *sizes)
