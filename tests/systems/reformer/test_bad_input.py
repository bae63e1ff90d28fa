"""LSH attention: what is refused, by its message, and what gives nan where it cannot be seen."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters, init_d_transformer, masks
from formal_tx.attending import Attending
from formal_tx.long_context.reformer import (
    ReformerHyperparameters,
    lsh_attention,
    reformer_attend,
    reformer_d_transformer_logits,
    rotations,
)
from formal_tx.positional import Alibi

HP = ReformerHyperparameters(chunk=3, buckets=4, rounds=2)
KEY = jax.random.key(0)


def ones(*shape):
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"chunk": 0}, ValueError, "chunk is 0, expected an integer of at least 1"),
        ({"chunk": -2}, ValueError, "chunk is -2, expected an integer of at least 1"),
        ({"chunk": 2.0}, ValueError, "chunk is 2.0, expected an integer of at least 1"),
        ({"buckets": 0}, ValueError, "buckets is 0, expected an integer of at least 1"),
        ({"buckets": 5}, ValueError, "buckets is 5, expected an even number"),
        ({"rounds": 0}, ValueError, "rounds is 0, expected an integer of at least 1"),
        ({"rounds": True}, ValueError, "rounds is True, expected an integer of at least 1"),
        ({"same_bucket": 1}, TypeError, "same_bucket is 1, expected True or False"),
        ({"by_normaliser": "yes"}, TypeError, "by_normaliser is 'yes', expected True or False"),
        ({"discourage_self": None}, TypeError, "discourage_self is None, expected True or False"),
    ],
)
def test_hyperparameters(changes, error, message):
    with pytest.raises(error, match=f"^ReformerHyperparameters: {re.escape(message)}"):
        ReformerHyperparameters(**changes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"Q": ones(0, 5), "V": ones(0, 2)}, ValueError, "Q is empty, at least one token is needed"),
        ({"Q": ones(5)}, ValueError, "Q has shape (5,), expected (..., l, d)"),
        ({"Q": np.ones((7, 5), int)}, TypeError, "Q has dtype int64, expected a floating dtype"),
        ({"V": ones(6, 2)}, ValueError, "V has shape (6, 2), expected (..., l, d_mid) with l = 7"),
        ({"Q": ones(2, 7, 5), "V": ones(3, 7, 2)}, ValueError, "the leading axes are Q (2,) and V (3,)"),
        ({"R": ones(2, 4, 2)}, ValueError, "R has shape (2, 4, 2), expected (rounds, d, b/2) with d = 5"),
        ({"R": ones(3, 5, 2)}, ValueError, "R has shape (3, 5, 2), expected (rounds, d, buckets / 2) = (2, 5, 2)"),
        ({"R": ones(2, 5, 4)}, ValueError, "R has shape (2, 5, 4), expected (rounds, d, buckets / 2) = (2, 5, 2)"),
        ({"hyperparameters": 4}, TypeError, "hyperparameters is a int, expected ReformerHyperparameters"),
        ({"mask": np.ones((7, 7), bool)}, ValueError, "mask holds an array, expected a predicate of positions"),
        ({"mask": masks.causal & np.ones((7, 7), bool)}, ValueError, "mask holds an array, expected a predicate"),
        ({"mask": ones(7, 7)}, TypeError, "mask has dtype float32, expected bool"),
        ({"Q": np.full((7, 5), np.nan, np.float32)}, ValueError, "Q holds nan, first at index [0, 0]"),
    ],
)
def test_what_is_refused(changes, error, message):
    arguments = {"Q": ones(7, 5), "V": ones(7, 2), "R": ones(2, 5, 2), "hyperparameters": HP} | changes
    with pytest.raises(error, match=f"^lsh_attention: {re.escape(message)}"):
        lsh_attention(**arguments)


def test_rotations_need_a_key():
    with pytest.raises(TypeError, match=r"^rotations: key is int, expected a key"):
        rotations(0, 5, HP)


def test_nan_stays():
    Q = jnp.ones((7, 5)).at[3].set(jnp.nan)
    assert np.isnan(jax.jit(lambda Q: lsh_attention(Q, ones(7, 2), ones(2, 5, 2), HP))(Q)[3]).all()


def test_scores_that_are_changed():
    for attending in (Attending(score=Alibi()), Attending(scale=0.5)):
        with pytest.raises(ValueError, match=r"^reformer_attend: attending has a score or a scale of its own"):
            reformer_attend(HP, attending=attending)


DECODER = DTransformerHyperparameters(l_max=8, L=1, H=2, d_e=6, d_mlp=5, N_V=7)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"x": np.zeros(9, int)}, ValueError, "x has 9 tokens, more than l_max = 8"),
        ({"x": np.full(4, 7)}, ValueError, "x[0] is 7, outside [0, N_V) = [0, 7)"),
        ({"key": 1}, TypeError, "key is int, expected a key"),
        ({"reformer_hyperparameters": 3}, TypeError, "reformer_hyperparameters is a int, expected ReformerHyperp"),
    ],
)
def test_a_decoder(changes, error, message):
    params = init_d_transformer(KEY, DECODER)
    arguments = {"x": np.zeros(4, int), "params": params, "hyperparameters": DECODER, "key": KEY}
    arguments["reformer_hyperparameters"] = HP
    with pytest.raises(error, match=f"^reformer_d_transformer_logits: {re.escape(message)}"):
        reformer_d_transformer_logits(**arguments | changes)


def test_heads_that_share_values():
    hp = DTransformerHyperparameters(l_max=8, L=1, H=2, H_kv=1, d_e=6, d_mlp=5, N_V=7)
    with pytest.raises(ValueError, match=r"^reformer_attend: W_v has 1 heads, expected 2, as W_q"):
        reformer_d_transformer_logits(np.zeros(4, int), init_d_transformer(KEY, hp), hp, HP, key=KEY)
