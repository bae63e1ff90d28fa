"""From features to the embeddings of a context, against the pseudocode."""

import jax
import numpy as np
import pytest

from formal_tx.crosscheck.pseudocode import module
from formal_tx.speech import FrontParameters, whisper_front

n_mels, d_e, l_max = 5, 7, 11


def parameters(seed=0):
    random = np.random.default_rng(seed)
    shapes = {"W_1": (d_e, n_mels, 3), "b_1": (d_e,), "W_2": (d_e, d_e, 3), "b_2": (d_e,)}
    return {name: random.normal(size=shape) for name, shape in shapes.items()}, random.normal(size=(l_max, d_e))


@pytest.mark.parametrize("length", [1, 9, 22])
def test_as_the_pseudocode(length, x64):
    W, W_p = parameters()
    M = np.random.default_rng(1).normal(size=(n_mels, length))
    theta = (*W.values(), W_p.T)
    expected = module("speech").whisper_front(M, theta).T
    found = jax.jit(whisper_front)(M, FrontParameters(**W), W_p)
    assert found.shape == (-(-length // 2), d_e)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_batch_is_its_sequences():
    W, W_p = parameters()
    front = jax.tree.map(lambda A: A.astype(np.float32), FrontParameters(**W))
    M = np.random.default_rng(1).normal(size=(2, 3, n_mels, 8)).astype(np.float32)
    together = jax.jit(whisper_front)(M, front, W_p.astype(np.float32))
    assert together.shape == (2, 3, 4, d_e)
    np.testing.assert_allclose(
        together[1, 2], jax.jit(whisper_front)(M[1, 2], front, W_p.astype(np.float32)), atol=1e-5
    )


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((n_mels + 1, 8), r"M has shape \(6, 8\), expected \(..., 5, ℓ\), as W_1 has it"),
        ((n_mels,), r"M has shape \(5,\), expected"),
        ((n_mels, 23), "M has 23 frames, expected 1 to 22"),
        ((n_mels, 0), "M has 0 frames, expected 1 to 22"),
    ],
)
def test_other_features_are_refused(shape, message):
    W, W_p = parameters()
    with pytest.raises(ValueError, match=message):
        whisper_front(np.zeros(shape, np.float32), FrontParameters(**W), W_p)
