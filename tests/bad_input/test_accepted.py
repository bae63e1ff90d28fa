"""What is not bad input: NumPy's arrays, Python's lists, double precision, small integers."""

import chex
import jax
import numpy as np
import pytest

from .cases import FIFTEEN, STATIC, call, function, good, models

NO_ARRAYS = (*STATIC, "params", "key", "mask_probability")


def converted(name, change):
    """A good call of `name` in which `change` was made to every array, the fields of the parameters included."""
    arguments = good(name)
    arrays = {key: change(np.asarray(value)) for key, value in arguments.items() if key not in NO_ARRAYS}
    if "params" in arguments:
        arrays["params"] = jax.tree.map(lambda W: change(np.asarray(W)), arguments["params"])
    return function(name)(**(arguments | arrays))


def doubled(array):
    return array.astype(np.float64) if array.dtype == np.float32 else array


@pytest.mark.parametrize("name", FIFTEEN)
@pytest.mark.parametrize("change", [np.asarray, np.ndarray.tolist, doubled], ids=["numpy", "lists", "float64"])
def test_every_function_takes(name, change):
    """The same numbers in another container give the same numbers, of the type that JAX is set to."""
    expected, result = call(name), converted(name, change)
    chex.assert_trees_all_equal(result, expected)
    jax.tree.map(lambda a, b: a.dtype == b.dtype or pytest.fail(f"{a.dtype}"), result, expected)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_integers_of_any_width(dtype):
    for name in ("token_embedding", "d_transformer", "d_inference"):
        ids = "v" if name == "token_embedding" else "x"
        result = call(name, **{ids: np.asarray(good(name)[ids]).astype(dtype)})
        np.testing.assert_array_equal(result, call(name))


def test_lists_of_arrays():
    """A list of vectors is a matrix, whoever made the vectors, under a trace too."""
    rows = list(models().d.W_e)
    expected = call("token_embedding")
    np.testing.assert_array_equal(call("token_embedding", W_e=rows), expected)
    traced = jax.jit(lambda first: call("token_embedding", v=[first, 3]))(np.int32(1))
    np.testing.assert_array_equal(traced[1], expected)


def test_double_precision(x64):
    """Where it is switched on, it is kept."""
    assert converted("d_transformer", doubled).dtype == np.float64
