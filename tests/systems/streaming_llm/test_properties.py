"""What is true of attention with sinks; of decoders that have it, tests/systems/first_and_near."""

import jax
import numpy as np
from jax.test_util import check_grads

from formal_tx.implementation import attend_with
from formal_tx.long_context.streaming_llm import softmax_off_by_one, streaming_attention
from tests.systems.lm_infinite.test_properties import ATOL, PLATFORMS, ROTATING, heads


def jitted(implementation, **options):
    options = {"sinks": 3, "window": 5, "attending": ROTATING} | options

    def attention(Q, K, V):
        with attend_with(implementation):
            return streaming_attention(Q, K, V, **options)

    return jax.jit(attention)


def test_an_answer_depends_on_what_is_in_the_cache_alone(x64):
    """One layer: other tokens where the cache has none any more, and the same answers, to the bit."""
    Q, K, V = heads(97)
    f = jitted("blockwise")
    before = f(Q, K, V)
    K[3:80], V[3:80] = 1e3, 1e3
    np.testing.assert_array_equal(f(Q, K, V)[84:], before[84:])


def test_a_batch_is_vmap_is_a_loop(x64):
    Q, K, V = heads(67, 2, 3)
    f = jitted("blockwise")
    found = f(Q, K, V)
    np.testing.assert_allclose(jax.vmap(f)(Q, K, V), found, atol=ATOL)
    np.testing.assert_allclose(f(Q[1, 2], K[1, 2], V[1, 2]), found[1, 2], atol=ATOL)


def test_gradients(x64):
    arguments = heads(67)
    weights = np.random.default_rng(1).standard_normal((67, 3))

    def gradient(implementation):
        f = jitted(implementation)
        return jax.jit(jax.grad(lambda *a: (f(*a) * weights).sum(), argnums=(0, 1, 2)))(*arguments)

    for found, expected in zip(gradient("blockwise"), gradient("dense"), strict=True):
        np.testing.assert_allclose(found, expected, atol=ATOL)
    check_grads(jitted("blockwise"), tuple(heads(9)), order=1, modes=["rev"])
    check_grads(softmax_off_by_one, (np.array([0.5, -1.0, 2.0]),), order=1, modes=["rev"])


def test_it_lowers_for_every_platform():
    shapes = [jax.ShapeDtypeStruct((2, 139, 6), np.float32)] * 3
    assert set(jax.export.export(jitted("blockwise"), platforms=PLATFORMS)(*shapes).platforms) == set(PLATFORMS)
