"""Hierarchical attention: what is refused, and in which words."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx.long_context.gru import bidirectional_gru, gru, gru_cell, init_gru
from formal_tx.long_context.hierarchical_attention import (
    attention_pooling,
    attention_weights,
    hierarchical_attention,
    hierarchical_attention_loss,
    init_hierarchical_attention,
)

SIZES = {"N_V": 13, "e": 3, "h": 2, "a": 4, "C": 3}
PARAMS = init_hierarchical_attention(jax.random.key(0), **SIZES)
UNIT, POOLING = PARAMS.words.forward, PARAMS.word_attention
X, H = np.ones((5, 3)), np.ones((5, 4))
DOCUMENT = np.array([[3, 7, 1, 0], [5, 0, 0, 0]])
HEAD = PARAMS.classifier


def refuses(f, error, message, *arguments, **options):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        f(*arguments, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"h": 0}, "init_hierarchical_attention: h is 0, expected an integer of at least 1"),
        ({"a": -1}, "init_hierarchical_attention: a is -1, expected an integer of at least 1"),
        ({"e": 2.5}, "init_hierarchical_attention: e is 2.5, expected an integer of at least 1"),
        ({"C": 1}, "init_hierarchical_attention: C is 1, expected an integer of at least 2"),
        ({"N_V": 1}, "init_hierarchical_attention: N_V is 1, expected an integer of at least 2"),
    ],
)
def test_sizes(changes, message):
    refuses(init_hierarchical_attention, ValueError, message, jax.random.key(0), **SIZES | changes)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (DOCUMENT + 6, ValueError, "hierarchical_attention: x[0, 1] is 13, outside [0, N_V) = [0, 13)"),
        (DOCUMENT - 1, ValueError, "hierarchical_attention: x[0, 3] is -1, outside [0, N_V) = [0, 13)"),
        (DOCUMENT / 2, TypeError, "hierarchical_attention: x has dtype float64, expected integers"),
        (0 * DOCUMENT, ValueError, "hierarchical_attention: the document at index [] has no word, only padding"),
        (
            np.stack([DOCUMENT, 0 * DOCUMENT]),
            ValueError,
            "hierarchical_attention: the document at index [1] has no word, only padding",
        ),
        (DOCUMENT[0], ValueError, "hierarchical_attention: x has shape (4,), expected (..., S, W)"),
        (DOCUMENT[:0], ValueError, "hierarchical_attention: x is empty"),
        (DOCUMENT[:, :0], ValueError, "hierarchical_attention: a sentence of x is empty"),
    ],
)
def test_documents(x, error, message):
    refuses(hierarchical_attention, error, message, x, PARAMS)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (POOLING, TypeError, "hierarchical_attention: params is a PoolingParameters, expected Hierarchical"),
        (PARAMS.replace(E=None), TypeError, "hierarchical_attention: params.E is None, expected an array of numbers"),
        (
            PARAMS.replace(E=jnp.zeros((13, 3), int)),
            TypeError,
            "hierarchical_attention: params.E has dtype int32, expected a floating dtype",
        ),
        (
            PARAMS.replace(classifier=HEAD.replace(W=HEAD.W[:1], b=HEAD.b[:1])),
            ValueError,
            "hierarchical_attention: params.classifier has 1 class, expected at least 2",
        ),
        (
            PARAMS.replace(E=PARAMS.E[:, :2]),
            ValueError,
            "bidirectional_gru: params.forward.W_z has shape (2, 3), expected (h, d) with d = 2, the size that X gives",
        ),
        (
            PARAMS.replace(word_attention=POOLING.replace(u=POOLING.u[:3])),
            ValueError,
            "attention_weights: params.u has shape (3,), expected (a,) with a = 4, the size that params.W gives it",
        ),
        (
            PARAMS.replace(sentence_attention=POOLING.replace(W=POOLING.W[:, :3])),
            ValueError,
            "attention_weights: params.W has shape (4, 3), expected (a, d) with d = 4, the size that H gives it",
        ),
        (
            PARAMS.replace(classifier=HEAD.replace(W=HEAD.W[:, :3])),
            ValueError,
            "classification_logits: params.W has shape (3, 3), expected (d_out, d) with d = 4, the size that x gives",
        ),
        (
            PARAMS.replace(E=PARAMS.E.at[3, 1].set(jnp.nan)),
            ValueError,
            "hierarchical_attention: params.E holds nan, first at index [3, 1]",
        ),
    ],
)
def test_parameters(params, error, message):
    refuses(hierarchical_attention, error, message, DOCUMENT, params)


def test_a_flag_that_is_none():
    message = "hierarchical_attention: projected is 'no', expected True or False"
    refuses(hierarchical_attention, TypeError, message, DOCUMENT, PARAMS, projected="no")


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (3, ValueError, "hierarchical_attention_loss: labels is 3, outside [0, C) = [0, 3)"),
        (-1, ValueError, "hierarchical_attention_loss: labels is -1, outside [0, C) = [0, 3)"),
        (0.5, TypeError, "hierarchical_attention_loss: labels has dtype float64, expected integers"),
        ([0, 1], ValueError, "hierarchical_attention_loss: labels have shape (2,), expected (): one for each document"),
    ],
)
def test_labels(labels, error, message):
    refuses(hierarchical_attention_loss, error, message, PARAMS, DOCUMENT, labels)


@pytest.mark.parametrize("f", [gru, bidirectional_gru, attention_weights, attention_pooling])
def test_sequences(f):
    pooling = f in (attention_weights, attention_pooling)
    params = POOLING if pooling else UNIT if f is gru else PARAMS.words
    name, X_or_H = ("H", H) if pooling else ("X", X)
    f_name = f.__name__
    refuses(f, ValueError, f"{f_name}: {name} is empty", X_or_H[:0], params)
    refuses(f, TypeError, f"{f_name}: {name} has dtype int64, expected a floating dtype", X_or_H.astype(int), params)
    refuses(f, TypeError, f"{f_name}: real has dtype int64, expected bool", X_or_H, params, np.ones(5, int))
    shape = f"{f_name}: real has shape (4,), expected (5,): one for each row of {name}"
    refuses(f, ValueError, shape, X_or_H, params, np.ones(4, bool))
    refuses(f, TypeError, f"{f_name}: params is a HeadParameters, expected", X_or_H, HEAD)
    refuses(f, ValueError, f"{f_name}: params.", X_or_H[:, :2], params)


def test_units():
    other = init_gru(jax.random.key(0), d=3, h=4)
    refuses(
        gru, ValueError, "gru: params.U_z has shape (4, 4), expected (h, h) with h = 2", X, UNIT.replace(U_z=other.U_z)
    )
    refuses(gru, ValueError, "gru: params.c_n has shape (4,), expected (h,) with h = 2", X, UNIT.replace(c_n=other.c_n))
    mixed = PARAMS.words.replace(backward=other)
    message = "bidirectional_gru: params.backward.W_z has shape (4, 3), expected (h, d) with h = 2"
    refuses(bidirectional_gru, ValueError, message, X, mixed)


def test_a_cell():
    refuses(
        gru_cell,
        ValueError,
        "gru_cell: s has shape (5, 2), expected a state for each row of x",
        X[0],
        np.ones((5, 2)),
        UNIT,
    )
    refuses(
        gru_cell,
        ValueError,
        "gru_cell: params.W_z has shape (2, 3), expected (h, d) with h = 3, the size that s gives it",
        X[0],
        np.ones(3),
        UNIT,
    )
    refuses(
        gru_cell,
        TypeError,
        "gru_cell: params is a PoolingParameters, expected GRUParameters",
        X[0],
        np.ones(2),
        POOLING,
    )
