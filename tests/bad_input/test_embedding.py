"""Algorithms 1, 2 and 7: ids, positions, tables and widths that are not what they should be."""

import jax
import numpy as np
import pytest

import formal_tx

from .cases import D_E, L_MAX, N_V, bad, call, good, is_nan, jitted, nan_at, refused

IDS = "outside [0, N_V) = [0, 11)"
POSITIONS = "outside [0, l_max) = [0, 5)"


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        bad("token_embedding", "negative id", ValueError, f"v is -1, {IDS}", v=-1),
        bad("token_embedding", "id N_V", ValueError, f"v is {N_V}, {IDS}", v=N_V),
        bad("token_embedding", "an id of several", ValueError, f"v[1, 0] is 99, {IDS}", v=[[1, 2], [99, 3]]),
        bad("token_embedding", "an id beyond 32 bits", ValueError, f"v is {2**32 + 3}, {IDS}", v=2**32 + 3),
        bad("token_embedding", "float", TypeError, "v has dtype float64, expected integers", v=1.0),
        bad("token_embedding", "floats", TypeError, "v has dtype float32, expected integers", v=np.ones(2, "f")),
        bad("token_embedding", "boolean", TypeError, "v has dtype bool, expected integers", v=True),
        bad("token_embedding", "None", TypeError, "v is None, expected an array of numbers", v=None),
        bad("token_embedding", "a string", TypeError, "v has dtype <U1, expected an array of numbers", v="a"),
        bad("token_embedding", "ragged", ValueError, "v is a list of which no array can be made", v=[[1], [1, 2]]),
        bad("token_embedding", "a vector for a table", ValueError, "W_e has shape (6,)", W_e=np.ones(6)),
        bad("token_embedding", "no table", TypeError, "W_e is None, expected an array", W_e=None),
        bad("token_embedding", "integer table", TypeError, "W_e has dtype int", W_e=np.ones((N_V, 2), int)),
        bad("positional_embedding", "negative", ValueError, f"t is -1, {POSITIONS}", t=-1),
        bad("positional_embedding", "position l_max", ValueError, f"t is {L_MAX}, {POSITIONS}", t=L_MAX),
        bad("positional_embedding", "one of several", ValueError, f"t[2] is 7, {POSITIONS}", t=np.array([0, 4, 7])),
        bad("positional_embedding", "float", TypeError, "t has dtype float64, expected integers", t=2.0),
        bad("positional_embedding", "boolean", TypeError, "t has dtype bool, expected integers", t=np.True_),
        bad(
            "positional_embedding", "a vector", ValueError, "W_p has shape (6,), expected (l_max, d_e)", W_p=np.ones(6)
        ),
        bad("positional_embedding", "integers", TypeError, "W_p has dtype int", W_p=np.ones((L_MAX, 2), int)),
        bad("unembedding", "a scalar", ValueError, "e has shape (), expected (..., d_e)", e=1.0),
        bad(
            "unembedding",
            "another width",
            ValueError,
            "W_u has shape (11, 6), expected (N_V, d_e) with d_e = 5",
            e=np.ones(5),
        ),
        bad("unembedding", "integers", TypeError, "e has dtype int", e=np.ones(D_E, int)),
        bad("unembedding", "integer matrix", TypeError, "W_u has dtype int", W_u=np.ones((N_V, D_E), int)),
        bad("unembedding", "nan", ValueError, "e holds nan, first at index [2]", e=nan_at(2)(np.ones(D_E, "f"))),
    ],
)
def test_refused(name, changes, error, message):
    refused(name, changes, error, message)


@pytest.mark.parametrize(
    ("name", "table", "index"),
    [("token_embedding", "W_e", [3, 1]), ("positional_embedding", "W_p", [3, 2]), ("unembedding", "W_u", [4, 5])],
)
def test_nan_in_a_table(name, table, index):
    """What it did to the result is not returned: the error names the table and the place."""
    spoiled = nan_at(*index)(good(name)[table])
    with pytest.raises(ValueError, match=f"^{name}: {table} holds nan, first at index \\[{index[0]}, {index[1]}\\]$"):
        call(name, **{table: spoiled})


def test_nan_in_a_row_that_nobody_asks_for():
    """It does no harm, and is not looked for: a check of every weight at each call would cost more than the call."""
    W_e = nan_at(7, 0)(good("token_embedding")["W_e"])
    np.testing.assert_array_equal(call("token_embedding", W_e=W_e), call("token_embedding"))


@pytest.mark.parametrize("v", [N_V, 99, -1, -N_V, np.int8(-1), np.uint8(200)])
def test_traced_id_out_of_range(v):
    """Indexing by itself would clamp it, or count it from the end."""
    assert is_nan(jitted("token_embedding", v=v))


@pytest.mark.parametrize("t", [L_MAX, -1])
def test_traced_position_out_of_range(t):
    assert is_nan(jitted("positional_embedding", t=t))


def test_a_small_integer_type_and_a_large_table():
    """An id of eight bits indexes a table of more rows than it can count; and -1 is still no row of it."""
    W_e = np.arange(300.0, dtype=np.float32)[:, None]
    assert formal_tx.token_embedding(np.int8(100), W_e) == 100
    assert formal_tx.token_embedding(np.uint8(200), W_e) == 200
    assert is_nan(jitted("token_embedding", v=np.int8(-1), W_e=W_e))


def test_only_the_bad_rows_are_nan():
    table = good("token_embedding")["W_e"]
    rows = jitted("token_embedding", v=np.array([3, 99, -1, 0]))
    np.testing.assert_array_equal(rows[np.array([0, 3])], table[np.array([3, 0])])
    assert is_nan(rows[1:3])


def test_vmap_over_bad_ids():
    """Under `vmap` values are out of sight, concrete or not: nan for the bad ones, as under `jit`."""
    table = good("token_embedding")["W_e"]
    rows = jax.vmap(lambda v: formal_tx.token_embedding(v, table))(np.array([3, -1]))
    np.testing.assert_array_equal(rows[0], table[3])
    assert is_nan(rows[1])


def test_traced_nan():
    assert is_nan(jitted("unembedding", e=np.full(D_E, np.nan, np.float32)))
