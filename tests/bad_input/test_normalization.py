"""Algorithm 6: widths, types and epsilon."""

import numpy as np
import pytest

from .cases import bad, call, is_nan, jitted, refused

ONES = np.ones(3, np.float32)
TWO = np.ones(2, np.float32)
HERE = "with d_e = 3, the size that e gives it; here it is 2"


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        bad("layer_norm", "a scalar", ValueError, "e has shape (), expected (..., d_e)", e=1.0),
        bad("layer_norm", "width of gamma", ValueError, f"gamma has shape (2,), expected (d_e,) {HERE}", gamma=TWO),
        bad("layer_norm", "width of beta", ValueError, f"beta has shape (2,), expected (d_e,) {HERE}", beta=TWO),
        bad("layer_norm", "scalar gamma", ValueError, "gamma has shape (), expected (d_e,)", gamma=1.0),
        bad("layer_norm", "no gamma", TypeError, "gamma is None, expected an array of numbers", gamma=None),
        bad("layer_norm", "integers", TypeError, "e has dtype int64, expected a floating dtype", e=np.ones(3, int)),
        bad("layer_norm", "integer gamma", TypeError, "gamma has dtype int64", gamma=np.ones(3, int)),
        bad("layer_norm", "integer beta", TypeError, "beta has dtype int64", beta=np.ones(3, int)),
        bad(
            "layer_norm", "complex", TypeError, "beta has dtype complex128, expected a float", beta=np.ones(3, complex)
        ),
        bad("layer_norm", "negative epsilon", ValueError, "epsilon is -1e-05, expected a finite number", epsilon=-1e-5),
        bad("layer_norm", "nan for epsilon", ValueError, "epsilon is nan, expected a finite", epsilon=float("nan")),
        bad("layer_norm", "infinite epsilon", ValueError, "epsilon is inf, expected a finite", epsilon=float("inf")),
        bad("layer_norm", "boolean epsilon", TypeError, "epsilon is True, expected a number", epsilon=True),
        bad("layer_norm", "no epsilon", TypeError, "epsilon is None, expected a number", epsilon=None),
        bad("layer_norm", "epsilon for each", ValueError, "epsilon has shape (3,), expected a single", epsilon=ONES),
        bad("layer_norm", "nan", ValueError, "e holds nan, first at index [1]", e=np.array([1, np.nan, 2], "f")),
        bad("layer_norm", "nan in gamma", ValueError, "gamma holds nan, first at index [0]", gamma=ONES * np.nan),
        bad("layer_norm", "nan in beta", ValueError, "beta holds nan, first at index [0]", beta=ONES * np.nan),
    ],
)
def test_refused(name, changes, error, message):
    refused(name, changes, error, message)


def test_a_constant_vector_without_epsilon():
    """0/0 in the paper, nan here; not an error, since the paper's function is what was asked for."""
    assert is_nan(call("layer_norm", e=ONES, epsilon=0))
    np.testing.assert_array_equal(call("layer_norm", e=ONES), np.zeros(3))


@pytest.mark.parametrize("epsilon", [-1.0, -0.1, np.nan])
def test_traced_epsilon(epsilon):
    """-0.1 is less than the variances here, so that the root alone would not notice."""
    assert is_nan(jitted("layer_norm", e=np.array([1, 2, 3], np.float32), epsilon=epsilon))


def test_traced_nan():
    rows = jitted("layer_norm", e=np.array([[1, 2, 3], [1, np.nan, 3]], np.float32))
    assert np.isfinite(rows[0]).all()
    assert is_nan(rows[1])
