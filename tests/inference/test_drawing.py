"""The likeliest token: argmax, computed in another way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx.inference.drawing import likeliest


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 7), (2, 3, 50)])
def test_it_is_argmax(shape):
    rng = np.random.default_rng(0)
    few = rng.integers(0, 4, shape).astype(np.float32)  # many are equal: the first of them counts
    some_impossible = np.where(rng.random(shape) < 0.3, -np.inf, few)
    for logits in (
        rng.normal(size=shape).astype(np.float32),
        few,
        some_impossible,
        np.full(shape, -np.inf, np.float32),
    ):
        np.testing.assert_array_equal(jax.jit(likeliest)(jnp.asarray(logits, jnp.float32)), logits.argmax(axis=-1))


def test_without_a_number_there_is_no_token():
    logits = jnp.asarray([[0.0, jnp.nan, 2.0], [0.0, 1.0, 2.0]])
    np.testing.assert_array_equal(likeliest(logits), [3, 2])
