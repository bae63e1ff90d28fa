"""The ∞-former: what its functions keep, and what it is with no past, one segment, a memory that is silent."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from formal_tx import DTransformerHyperparameters, d_transformer_logits
from formal_tx.long_context.infinite_decoder import (
    forget,
    infinite_d_transformer,
    init_infinite_decoder,
)
from formal_tx.long_context.infinite_memory import (
    Density,
    MemoryHyperparameters,
    MemoryParameters,
    basis,
    basis_regression,
    continuous_attention,
    kl_regulariser,
    memory_update,
    read_density,
    sticky_points,
    uniform_points,
)

MEMORY = MemoryHyperparameters(N=14, widths=(0.05, 0.1), ridge=0.5, tau=0.7, M=11, D=16, v_min=1e-4)
DECODER = DTransformerHyperparameters(l_max=8, L=2, H=3, d_e=12, d_mlp=16, N_V=9)
KEY = jax.random.key(5)
L, D_E, H, D_ATTN, D_MID = 6, 5, 3, 4, 2


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def parameters(seed):
    shapes = {"W_k": (H, D_ATTN, D_E), "W_v": (H, D_MID, D_E), "W_o": (D_E, H * D_MID), "a_m": (14,), "a_v": (14,)}
    return MemoryParameters(**{name: normal(seed + i, *shape) for i, (name, shape) in enumerate(shapes.items())})


def density(seed, *batch):
    rng = np.random.default_rng(seed)
    return Density(rng.uniform(size=(*batch, H, L)), rng.uniform(0.1, 0.3, (*batch, H, L)) ** 2)


@pytest.fixture(scope="module")
def model():
    return init_infinite_decoder(jax.random.key(0), DECODER, MEMORY)


def tokens(seed, *shape):
    return np.random.default_rng(seed).integers(0, DECODER.N_V, shape)


run = partial(infinite_d_transformer, hyperparameters=DECODER, memory_hyperparameters=MEMORY)


# The fit


def test_the_fit_is_linear_and_each_feature_is_fitted_alone(x64):
    X, Y = normal(0, L, D_E), normal(1, L, D_E)
    B = basis_regression(2 * X - 3 * Y, MEMORY)
    np.testing.assert_allclose(
        B, 2 * basis_regression(X, MEMORY) - 3 * basis_regression(Y, MEMORY), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(B[:, 2:3], basis_regression(2 * X[:, 2:3] - 3 * Y[:, 2:3], MEMORY), atol=1e-12)


def test_it_is_exact_with_narrow_functions_enough_and_hardly_a_penalty(x64):
    """With N functions at N cells and widths below a cell the values are met."""
    X = normal(2, 16, 2)
    hp = MemoryHyperparameters(N=64, widths=(0.02, 0.03), ridge=1e-9, M=1)
    t = (np.arange(16) + 0.5) / 16
    error = basis(jnp.asarray(t), hp) @ basis_regression(X, hp) - X
    assert np.abs(error).max() < 1e-6 * np.abs(X).max()


def test_more_functions_on_nested_grids_never_fit_worse(x64):
    """Centres of N = 2^k + 1 are among those of N = 2^(k+1) + 1, so that what one can fit the other can."""
    X = np.cumsum(normal(3, 32, 3), axis=0)
    t = jnp.asarray((np.arange(32) + 0.5) / 32)
    errors = []
    for N in (3, 5, 9, 17):
        hp = MemoryHyperparameters(N=N, widths=(0.05,), ridge=1e-8, M=1)
        errors.append(float(jnp.linalg.norm(basis(t, hp) @ basis_regression(X, hp) - X)))
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(errors)), errors


def test_the_function_goes_to_zero_outside(x64):
    X = np.ones((16, 1))
    hp = MemoryHyperparameters(N=64, widths=(0.02, 0.03), ridge=1e-3, M=1)
    inside, outside = (basis(jnp.asarray([t]), hp) @ basis_regression(X, hp) for t in (0.5, 1.1))
    assert inside > 0.9
    assert abs(outside) < 0.1


# The update


def test_without_a_past_the_update_is_the_fit():
    X = normal(4, L, D_E)
    np.testing.assert_array_equal(memory_update(None, X, MEMORY), basis_regression(X, MEMORY))


def test_points_at_equal_distances_are_the_default():
    B, X = normal(5, 14, D_E), normal(6, L, D_E)
    np.testing.assert_array_equal(
        memory_update(B, X, MEMORY), memory_update(B, X, MEMORY, uniform_points(MEMORY, np.float32))
    )
    np.testing.assert_allclose(uniform_points(MEMORY), np.arange(1, 12) / 11, rtol=1e-6)


def test_the_size_stays_and_the_oldest_fades_to_the_front(x64):
    """A segment that is one where all others are zero is squeezed towards t = 0 by a factor τ each time."""
    hp = MemoryHyperparameters(N=128, widths=(0.01, 0.05), ridge=0.1, tau=0.75, M=128)
    B, t = basis_regression(np.ones((16, 1)), hp), jnp.linspace(0, 1, 1001)
    for k in range(1, 6):
        B = memory_update(B, np.zeros((16, 1)), hp)
        assert B.shape == (128, 1)
        x = (basis(t, hp) @ B)[:, 0]
        end = float(t[np.flatnonzero(np.asarray(x) > 0.5)[-1]])
        assert abs(end - hp.tau**k) < 0.03  # half of a wide function
    assert abs(x[t > 0.5]).max() < 0.1


def test_sticky_points():
    u = sticky_points(density(0), np.random.default_rng(0).uniform(size=11).astype(np.float32), MEMORY)
    assert (np.diff(u) >= 0).all()
    assert u.min() >= 0
    assert u.max() < 1
    np.testing.assert_allclose(16 * u, np.round(16 * u), atol=1e-5)


def test_sticky_points_of_a_uniform_density_are_uniform():
    """A density much wider than [0, 1] is the same everywhere in it: each bin is drawn equally often."""
    hp = MemoryHyperparameters(N=2, widths=(0.1,), M=20_000, D=10)
    wide = Density(np.full((1, 1), 0.5), np.full((1, 1), 1e4))
    u = sticky_points(wide, jax.random.uniform(KEY, (hp.M,)), hp)
    counts = np.bincount(np.round(10 * np.asarray(u)).astype(int), minlength=10)
    # The count of a bin has a standard deviation of √(M/D) = 45; five of these.
    assert np.abs(counts - 2000).max() < 5 * 45


def test_sticky_points_crowd_where_it_was_looked():
    narrow = Density(np.full((1, 1), 0.52), np.full((1, 1), 1e-4))
    u = sticky_points(narrow, jax.random.uniform(KEY, (11,)), MEMORY)
    assert np.abs(np.asarray(u) - 0.52).max() < 1 / 16 + 0.03


# The read


def test_a_narrow_density_reads_the_function_at_its_location(x64):
    B, U, d = normal(7, 14, D_E), parameters(0), density(1)
    Z = continuous_attention(B, Density(d.m, np.full(d.v.shape, 1e-12)), U, MEMORY)
    x = basis(jnp.asarray(d.m), MEMORY) @ B
    heads = [x[h] @ U.W_v[h].T for h in range(H)]
    np.testing.assert_allclose(Z, np.concatenate(heads, axis=-1) @ U.W_o.T, rtol=1e-8, atol=1e-8)


def test_densities_are_within_their_bounds():
    found = read_density(1e4 * normal(8, H, L, D_ATTN), normal(9, 14, D_E), parameters(1), MEMORY)
    assert ((found.m >= 0) & (found.m <= 1)).all()
    assert found.v.min() >= np.float32(MEMORY.v_min)
    nothing = read_density(np.zeros((H, L, D_ATTN)), normal(9, 14, D_E), parameters(1), MEMORY)
    np.testing.assert_allclose(nothing.m, 0.5)
    np.testing.assert_allclose(nothing.v, np.log(2), rtol=1e-6)


def test_the_regulariser_is_least_at_its_width(x64):
    assert kl_regulariser(jnp.full((3, 2), 0.3**2), 0.3) == pytest.approx(0, abs=1e-15)
    assert kl_regulariser(jnp.full((3, 2), 0.31**2), 0.3) > 0
    assert kl_regulariser(jnp.full((3, 2), 0.29**2), 0.3) > 0


# The decoder


def plain(x, model):
    return d_transformer_logits(x, model.decoder, DECODER)


# Programs of other shapes sum in another order; logits are of size 1.
close = partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-5)


def test_the_first_segment_is_the_plain_decoder(model):
    found = run(tokens(0, 2, 8), model, segment=8, key=KEY)
    close(found.logits, plain(tokens(0, 2, 8), model))
    assert found.regulariser == 0


def test_a_memory_that_writes_nothing_changes_nothing(model):
    """With W_o = 0 every segment is read by the plain decoder on its own."""
    silent = model.replace(memory=model.memory.replace(W_o=jnp.zeros_like(model.memory.W_o)))
    found = run(tokens(1, 2, 24), silent, segment=8, key=KEY).logits
    for s in range(0, 24, 8):
        close(found[:, s : s + 8], plain(tokens(1, 2, 24)[:, s : s + 8], model))


def test_a_text_in_parts_is_the_whole(model):
    x = tokens(2, 2, 24)
    whole = run(x, model, segment=8, key=KEY)
    memory, parts = None, []
    for s in range(0, 24, 8):
        logits, memory, _ = run(x[:, s : s + 8], model, segment=8, key=KEY, memory=memory)
        parts.append(logits)
        assert jax.tree.map(jnp.shape, memory) == jax.tree.map(jnp.shape, whole.memory)
    close(jnp.concatenate(parts, axis=1), whole.logits)
    close(memory.B, whole.memory.B)
    assert (memory.segments == 3).all()


def test_a_forgotten_past_is_none(model):
    past = run(tokens(3, 2, 24), model, segment=8, key=KEY).memory
    x = tokens(3, 2, 8)
    kept = run(x, model, segment=8, memory=past).logits
    found = run(x, model, segment=8, memory=forget(past, jnp.array([True, False]))).logits
    np.testing.assert_array_equal(found[1], kept[1])
    close(found[0], plain(x, model)[0])
    assert np.abs(found[0] - kept[0]).max() > 1e-3


def test_nothing_later_is_seen_and_something_earlier_is(model):
    x = tokens(4, 2, 24)
    logits = run(x, model, segment=8, key=KEY).logits
    changed = x.copy()
    changed[0, 11] = (changed[0, 11] + 1) % DECODER.N_V
    found = run(changed, model, segment=8, key=KEY).logits
    np.testing.assert_array_equal(found[0, :11], logits[0, :11])
    assert np.abs(found[0, 16:] - logits[0, 16:]).max() > 1e-4


def test_the_memory_learns_and_no_gradient_reaches_an_earlier_segment(model):
    """The tokens of the first segment and of the second are different, and have embeddings of their own."""
    x = np.array([0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 4, 5, 6])

    def last(params):
        found = run(x, params, segment=8, key=KEY)
        return jnp.sum(found.logits[8:, :3] ** 2) + found.regulariser

    gradient = jax.grad(last)(model)
    assert np.abs(gradient.decoder.W_e[:4]).max() == 0
    assert np.abs(gradient.decoder.W_e[4:]).min(axis=1).max() > 0
    assert all(np.isfinite(W).all() and np.abs(W).max() > 0 for W in jax.tree.leaves(gradient.memory))


def test_equal_keys_give_equal_results_and_others_do_not(model):
    x = tokens(6, 2, 24)
    a, b = (run(x, model, segment=8, key=jax.random.key(1)).logits for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - run(x, model, segment=8, key=jax.random.key(2)).logits).max() > 0


# Every function


def cases():
    """Each function with arguments that have two axes for a batch."""
    r = np.random.default_rng(2).uniform(size=(2, 3, 11))
    B, X, Q = normal(10, 2, 3, 14, D_E), normal(11, 2, 3, L, D_E), normal(12, 2, 3, H, L, D_ATTN)
    U = parameters(2)
    return {
        "basis_regression": (lambda X: basis_regression(X, MEMORY), (X,)),
        "memory_update": (lambda B, X, u: memory_update(B, X, MEMORY, u), (B, X, np.sort(r))),
        "sticky_points": (lambda d, r: sticky_points(d, r, MEMORY), (density(3, 2, 3), r)),
        "read_density": (lambda Q, B: read_density(Q, B, U, MEMORY), (Q, B)),
        "continuous_attention": (lambda B, d: continuous_attention(B, d, U, MEMORY), (B, density(4, 2, 3))),
    }


@pytest.mark.parametrize("name", cases())
def test_a_batch_is_vmap_is_a_loop(name, x64):
    f, arguments = cases()[name]
    batched, mapped = f(*arguments), jax.vmap(jax.vmap(f))(*arguments)
    for i in range(2):
        for j in range(3):
            one = f(*jax.tree.map(lambda a, i=i, j=j: a[i, j], arguments))
            for a, b, c in zip(*map(jax.tree.leaves, (batched, mapped, one)), strict=True):
                np.testing.assert_allclose(a[i, j], c, rtol=1e-12, atol=1e-14)
                np.testing.assert_allclose(b[i, j], c, rtol=1e-12, atol=1e-14)


def test_a_batch_of_texts_is_each_alone(model):
    x = tokens(7, 2, 24)
    batched = run(x, model, segment=8, key=KEY).logits
    for i in range(2):
        close(batched[i], run(x[i], model, segment=8, key=KEY).logits)


@pytest.mark.parametrize("name", [name for name in cases() if name != "sticky_points"])
def test_gradients_are_those_of_differences(name, x64):
    """Sticky points are steps, and have none."""
    f, arguments = cases()[name]
    check_grads(f, jax.tree.map(lambda a: jnp.asarray(a[0, 0]), arguments), order=1, modes=["rev"], eps=1e-5)


@pytest.mark.parametrize("name", cases())
def test_it_lowers_for_every_platform(name):
    f, arguments = cases()[name]
    arguments = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), arguments)
    exported = jax.export.export(jax.jit(f), platforms=["cpu", "cuda", "tpu"])(*arguments)
    assert set(exported.platforms) == {"cpu", "cuda", "tpu"}


def test_the_decoder_lowers_for_every_platform_and_has_one_program_for_all_texts_of_a_length(model):
    traced = []

    def f(x, params):
        traced.append(x.shape)
        return run(x, params, segment=8, key=KEY).logits

    program = jax.jit(f)
    assert set(jax.export.export(program, platforms=["cpu", "cuda", "tpu"])(tokens(8, 16), model).platforms)
    traced.clear()
    for seed in range(3):
        program(tokens(seed, 16), jax.tree.map(lambda W, seed=seed: W + seed, model))
    assert len(traced) <= 1
