"""What LM-Infinite's attention has in common with the attention that it stands for, and what is its own."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from formal_tx.attending import Attending
from formal_tx.implementation import attend_with
from formal_tx.long_context.first_and_near import FirstAndNear, Keys, scores
from formal_tx.long_context.lm_infinite import lambda_attention
from formal_tx.positional import Rotary

ROTATING = Attending(rotate=Rotary(50.0))
ATOL = 1e-12
"""In float64, with numbers of a few units."""

PLATFORMS = ["cpu", "cuda", "rocm", "tpu"]


def heads(l, *batch, d=6, d_mid=3):
    rng = np.random.default_rng(l)
    return [rng.standard_normal((*batch, l, width)) for width in (d, d, d_mid)]


def of_head(implementation="dense", **options):
    """The attention of a head, jitted; by default with three first tokens, a window of five, and its ceiling."""
    options = {"first": 3, "window": 5, "ceiling": 5, "attending": ROTATING} | options
    with attend_with(implementation):
        return jax.jit(lambda Q, K, V: lambda_attention(Q, K, V, **options))


def run(implementation, Q, K, V, **options):
    with attend_with(implementation):
        return of_head(implementation, **options)(Q, K, V)


def test_all_of_them_first_tokens_is_a_ceiling_alone(x64):
    Q, K, V = heads(17)
    found = run("dense", Q, K, V, first=17, window=1, ceiling=4)
    np.testing.assert_allclose(found, run("dense", Q, K, V, first=0, window=17, ceiling=4), atol=ATOL)


# What it sees


@pytest.mark.parametrize("implementation", ["dense", "blockwise"])
@pytest.mark.parametrize(("l", "first", "window"), [(17, 3, 5), (139, 3, 5), (139, 0, 1), (139, 70, 67), (7, 11, 9)])
def test_it_sees_the_first_and_the_near_ones_exactly(implementation, l, first, window, x64):
    """With V = I the answers are the weights: those of what is not seen are 0, to the bit."""
    Q, K, _ = heads(l)
    A = np.asarray(run(implementation, Q, K, np.eye(l), first=first, window=window, ceiling=window))
    i, j = np.arange(l)[:, None], np.arange(l)[None, :]
    seen = (j <= i) & ((j < first) | (i - j < window))
    np.testing.assert_array_equal(A > 0, seen)
    assert ((A > 0).sum(axis=1) <= first + window).all()
    np.testing.assert_allclose(A.sum(axis=1), 1, atol=ATOL)


@pytest.mark.parametrize("implementation", ["dense", "blockwise"])
def test_what_is_in_the_middle_changes_nothing(implementation, x64):
    Q, K, V = heads(97)
    before = run(implementation, Q, K, V)
    K[3:80], V[3:80] = 1e3, 1e3
    np.testing.assert_array_equal(run(implementation, Q, K, V)[84:], before[84:])


def nan_beyond(furthest, S, t_x, t_z, W_r):
    return jnp.where(t_x[:, None] - t_z[None, :] > furthest, jnp.nan, S)


NAN_BEYOND = {furthest: partial(nan_beyond, furthest) for furthest in (6, 7)}


@pytest.mark.parametrize("implementation", ["dense", "blockwise"])
@pytest.mark.parametrize("window", [5, 7, 20])
def test_no_distance_beyond_the_ceiling_enters(implementation, window, x64):
    """A score that is nan beyond the ceiling changes nothing; one that is nan at the ceiling shows."""
    Q, K, V = heads(97)
    options = {"window": window, "ceiling": 7}
    plain = run(implementation, Q, K, V, **options)
    found = run(implementation, Q, K, V, **options, attending=replace(ROTATING, score=NAN_BEYOND[7]))
    np.testing.assert_allclose(found, plain, atol=ATOL)
    assert np.isnan(run(implementation, Q, K, V, **options, attending=replace(ROTATING, score=NAN_BEYOND[6]))).any()


def test_no_score_is_greater_than_a_plain_one_at_a_distance_up_to_the_ceiling(x64):
    Q, K, _ = heads(29)
    rotary, t, c = ROTATING.rotate, jnp.arange(29), 4
    sight = FirstAndNear(5, 7, c)
    S, mask = jax.jit(lambda: scores(Q, Keys(K[:5], K[:5]), Keys(K[5:], K[5:]), t, t, t[5:], sight, ROTATING))()
    turned = jax.jit(jax.vmap(lambda distance: rotary(jnp.asarray(Q), jnp.full(29, distance))))(jnp.arange(c + 1))
    plain = np.asarray(turned) @ K.T / np.sqrt(6)
    assert (np.asarray(S) <= np.max(plain, axis=0) + ATOL)[np.asarray(mask)].all()


def test_where_counting_begins_changes_nothing(x64):
    Q, K, V = heads(17)
    first, near, t = Keys(K[:3], V[:3]), Keys(K[3:], V[3:]), jnp.arange(17)
    sight = FirstAndNear(3, 5, 9)

    @jax.jit
    def scores_from(begin):
        return scores(Q, first, near, t, t + begin, t[3:] + begin, sight, ROTATING)

    (S, mask), (shifted, same) = scores_from(0), scores_from(1000)
    np.testing.assert_array_equal(mask, same)
    np.testing.assert_allclose(S, shifted, atol=1e-11)  # angles of 1000 have three digits less


def test_a_text_that_repeats_itself_has_answers_that_do_to_the_bit():
    """Positions count from the block: in float32, too, an answer does not depend on how far along it is."""
    Q, K, V = (np.tile(A.astype(np.float32), (40, 1)) for A in heads(64))
    Y = np.asarray(run("blockwise", Q, K, V, first=3, window=64, ceiling=64)).reshape(40, 64, 3)
    np.testing.assert_array_equal(Y[2:], np.broadcast_to(Y[2], Y[2:].shape))


def test_of_a_constant_nothing_but_the_constant(x64):
    Q, K, _ = heads(97)
    np.testing.assert_allclose(run("blockwise", Q, K, np.full((97, 3), 2.5)), 2.5, atol=ATOL)


# How it is computed


@pytest.mark.parametrize("implementation", ["dense", "blockwise"])
def test_a_batch_is_vmap_is_a_loop(implementation, x64):
    Q, K, V = heads(67, 2, 3)
    found = run(implementation, Q, K, V)
    with attend_with(implementation):
        mapped = jax.vmap(of_head(implementation))(Q, K, V)
    np.testing.assert_allclose(mapped, found, atol=ATOL)
    one = run(implementation, Q[1, 2], K[1, 2], V[1, 2])
    np.testing.assert_allclose(found[1, 2], one, atol=ATOL)


def test_gradients_are_those_of_differences_and_of_all_scores_at_once(x64):
    arguments = heads(67)
    cotangent = np.random.default_rng(1).standard_normal((67, 3))

    def loss(implementation):
        with attend_with(implementation):
            return jax.grad(lambda *a: (run(implementation, *a, ceiling=3) * cotangent).sum(), argnums=(0, 1, 2))

    for found, expected in zip(loss("blockwise")(*arguments), loss("dense")(*arguments), strict=True):
        np.testing.assert_allclose(found, expected, atol=ATOL)
    check_grads(partial(run, "blockwise", ceiling=3), tuple(heads(9)), order=1, modes=["rev"])


def temporary_bytes(l, gradient):
    shapes = [jax.ShapeDtypeStruct((l, 8), np.float32)] * 3
    f = of_head("blockwise", window=64, ceiling=64)
    if gradient:
        f = jax.grad(lambda *a: of_head("blockwise", window=64, ceiling=64)(*a).sum(), argnums=(0, 1, 2))
    with attend_with("blockwise"):
        return jax.jit(f).lower(*shapes).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("gradient", [False, True])
def test_memory_grows_with_the_length_and_not_faster(gradient):
    assert temporary_bytes(16384, gradient) <= 2.2 * temporary_bytes(8192, gradient)


@pytest.mark.parametrize("x64", [False, True], ids=["float32", "float64"])
def test_it_lowers_for_every_platform(x64):
    dtype = np.float64 if x64 else np.float32
    with jax.enable_x64(x64):
        shapes = [jax.ShapeDtypeStruct((2, 139, 6), dtype)] * 3
        with attend_with("blockwise"):
            exported = jax.export.export(of_head("blockwise"), platforms=PLATFORMS)(*shapes)
    assert set(exported.platforms) == set(PLATFORMS)
    assert {aval.dtype for aval in exported.out_avals} == {np.dtype(dtype)}
