"""Linear attention: its forms are one function, it is causal, linear in the values, and a decoder has a fixed state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from formal_tx import DTransformerHyperparameters, init_d_transformer, init_mh_attention
from formal_tx.architectures import d_layers
from formal_tx.crosscheck.tolerances import EXACT
from formal_tx.long_context import linear_transformer
from formal_tx.long_context.feature_maps import FeatureMap, elu_plus_one, favor, fourier, relu
from formal_tx.long_context.linear_attention import (
    causal_linear_attention,
    continue_linear_attention,
    empty_state,
    linear_attention,
    linear_attention_step,
)
from formal_tx.long_context.linear_transformer import (
    d_linear_extend,
    d_linear_transformer_logits,
    empty_states,
    linear_attend,
    linear_mh_attention,
)

pytestmark = pytest.mark.usefixtures("x64")

E, D, L = 5, 3, 11
OMEGA = np.random.default_rng(0).standard_normal((E, 4))
MAPS = {
    "elu + 1": elu_plus_one,
    "favor": favor(OMEGA),
    "fourier": fourier(OMEGA),
    "relu": relu(OMEGA),
    "a square": FeatureMap(jnp.square),
}
every_map = pytest.mark.parametrize("phi", MAPS.values(), ids=MAPS)

PLATFORMS = ["cpu", "cuda", "tpu"]


def qkv(seed=1, *batch, length=L):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal((*batch, length, d)) for d in (E, E, D))


def same(found, expected):
    """To rounding, relative to the largest."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=EXACT["float64"] * max(1, np.abs(b).max()))


# One function in several forms


@every_map
@pytest.mark.parametrize("chunk", [1, 2, 4, L, 64])
def test_chunks_of_any_size_are_the_recurrence(phi, chunk):
    arrays = qkv()
    same(causal_linear_attention(*arrays, phi, chunk), causal_linear_attention(*arrays, phi, None))


@settings(max_examples=6, deadline=None, derandomize=True)
@given(length=st.integers(1, 9), chunk=st.integers(1, 10))
def test_chunks_of_any_length(length, chunk):
    arrays = qkv(length=length)
    same(causal_linear_attention(*arrays, chunk=chunk), causal_linear_attention(*arrays, chunk=None))


@every_map
def test_steps_are_the_whole(phi):
    Q, K, V = qkv()
    n = phi(K).shape[-1]
    state, answers = empty_state((), n, D, jnp.float64), []
    for q, k, v in zip(Q, K, V, strict=True):
        y, state = linear_attention_step(q, k, v, state, phi)
        answers.append(y)
    same(jnp.stack(answers), causal_linear_attention(Q, K, V, phi))


@pytest.mark.parametrize("cut", [1, 4, 10])
@pytest.mark.parametrize("chunk", [None, 3])
def test_a_sequence_goes_on_where_it_was_cut(cut, chunk):
    arrays = qkv(2, 2)
    first, second = ([A[:, :cut] for A in arrays], [A[:, cut:] for A in arrays])
    whole = continue_linear_attention(*arrays, empty_state((2,), E, D, jnp.float64), chunk=chunk)
    Y, state = continue_linear_attention(*first, empty_state((2,), E, D, jnp.float64), chunk=chunk)
    Z, state = continue_linear_attention(*second, state, chunk=chunk)
    same((jnp.concatenate([Y, Z], axis=1), state), whole)


@every_map
def test_the_last_token_of_a_causal_mask_sees_what_every_token_sees_without(phi):
    arrays = qkv()
    same(causal_linear_attention(*arrays, phi)[-1], linear_attention(*arrays, phi)[-1])


# What it is


@pytest.mark.parametrize("chunk", [None, 4])
def test_it_is_causal(chunk):
    arrays = qkv()
    changed = [np.concatenate([A[:6], A[6:] + 1]) for A in arrays]
    Y, Z = (causal_linear_attention(*some, chunk=chunk) for some in (arrays, changed))
    assert (Y[:6] == Z[:6]).all()
    assert not (Y[6:] == Z[6:]).any()


def test_it_is_linear_in_the_values():
    Q, K, V = qkv()
    W = qkv(3)[2]
    for attention in (linear_attention, causal_linear_attention):
        same(attention(Q, K, 2 * V - 3 * W), 2 * attention(Q, K, V) - 3 * attention(Q, K, W))


def test_the_order_of_keys_and_values_does_not_matter_without_a_mask():
    Q, K, V = qkv()
    order = np.random.default_rng(4).permutation(L)
    same(linear_attention(Q, K[order], V[order]), linear_attention(Q, K, V))
    assert not np.allclose(causal_linear_attention(Q, K[order], V[order]), causal_linear_attention(Q, K, V))


@every_map
def test_equal_values_are_their_own_average_but_for_epsilon(phi):
    Q, K, _ = qkv()
    epsilon = 0.25
    weights = (phi(Q) @ phi(K).T).sum(axis=1)
    expected = 7.0 * (1 - epsilon / (weights + epsilon))
    found = linear_attention(Q, K, np.full((L, D), 7.0), phi, epsilon)
    same(found, jnp.broadcast_to(expected[:, None], (L, D)))


def test_padding_is_not_looked_at():
    Q, K, V = qkv(5, 2)
    lengths = np.array([4, L])
    found = linear_attention(Q, K, V, lengths=lengths)
    changed = (np.concatenate([A[:, :4], np.full_like(A[:, 4:], 1e3)], axis=1) for A in (K, V))
    same(found[0], linear_attention(Q[:1], *(A[:1] for A in changed), lengths=lengths[:1])[0])
    same(found[0], linear_attention(Q[0], K[0, :4], V[0, :4]))
    same(found[1], linear_attention(Q[1], K[1], V[1]))


def test_one_token_is_its_own_value_without_epsilon():
    Q, K, V = qkv(length=1)
    same(causal_linear_attention(Q, K, V, epsilon=0.0), V)
    same(linear_attention(Q, K, V, epsilon=0.0), V)


def test_in_half_precision_sums_are_in_single():
    arrays = [jnp.asarray(A, jnp.bfloat16) for A in qkv(length=300)]
    exact = causal_linear_attention(*(A.astype(jnp.float64) for A in arrays))
    found, state = continue_linear_attention(*arrays, empty_state((), E, D))
    assert found.dtype == jnp.bfloat16
    assert state.S.dtype == jnp.float32
    # An answer is rounded once, to eight bits.
    np.testing.assert_allclose(found.astype(float), exact, atol=2**-8 * np.abs(exact).max())


# As JAX wants it


@pytest.mark.parametrize("chunk", [None, 4])
def test_a_batch_is_its_sequences(chunk):
    arrays = qkv(6, 2, 3)
    for attention in (linear_attention, lambda *a: causal_linear_attention(*a, chunk=chunk)):
        found = attention(*arrays)
        same(jax.vmap(jax.vmap(attention))(*arrays), found)
        same(attention(*(A[1, 2] for A in arrays)), found[1, 2])


def test_queries_of_several_sequences_ask_the_same_keys():
    Q, K, V = qkv(7, 3)
    same(linear_attention(Q, K[0], V[0])[2], linear_attention(Q[2], K[0], V[0]))


@pytest.mark.parametrize("phi", [elu_plus_one, favor(OMEGA)], ids=["elu + 1", "favor"])
@pytest.mark.parametrize("chunk", [None, 4])
def test_gradients(phi, chunk):
    arrays = [jnp.asarray(A) for A in qkv(length=5)]
    check_grads(lambda *a: causal_linear_attention(*a, phi, chunk), arrays, order=1, modes=["rev"])


def test_gradients_are_finite_without_epsilon_though_a_chunk_is_filled_up():
    arrays = [jnp.asarray(A) for A in qkv(length=5)]
    gradients = jax.grad(lambda a: causal_linear_attention(*a, chunk=4, epsilon=0.0).sum())(arrays)
    assert all(jnp.isfinite(g).all() for g in gradients)


def test_features_far_from_0_have_finite_derivatives():
    X = jnp.array([[-1e4, 0.0, 1e4]])
    assert jnp.isfinite(jax.grad(lambda X: elu_plus_one(X).sum())(X)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_lowers_for_every_platform(dtype):
    arrays = [jnp.asarray(A, dtype) for A in qkv()]
    hp, params, x = decoder(jnp.dtype(dtype))
    phi = favor(jnp.asarray(OMEGA, dtype))

    def everything(Q, K, V, x, params):
        whole = linear_attention(Q, K, V, phi), causal_linear_attention(Q, K, V, phi, 4)
        states = empty_states(hp, x.shape[:-1], dtype=dtype)
        return whole, causal_linear_attention(Q, K, V, phi, None), d_linear_extend(x, 0, states, params, hp)

    exported = jax.export.export(jax.jit(everything), platforms=PLATFORMS)(*arrays, x, params)
    assert set(exported.platforms) == set(PLATFORMS)


# Multi-head attention and a decoder


def decoder(dtype=jnp.float64, **options):
    hp = DTransformerHyperparameters(l_max=16, L=2, H=2, d_e=6, d_mlp=5, N_V=7, d_attn=E, d_mid=D, **options)
    params = jax.tree.map(lambda W: 2 * W.astype(dtype), init_d_transformer(jax.random.key(0), hp))
    return hp, params, np.random.default_rng(1).integers(0, 7, (3, 9))


def test_a_padded_context_of_heads():
    params = init_mh_attention(jax.random.key(1), d_x=4, d_z=7, d_attn=5, d_mid=3, d_out=2, H=2)
    rng = np.random.default_rng(2)
    X, Z = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 6, 7))
    found = linear_mh_attention(X, Z, params, lengths=np.array([2, 6]))
    same(found[0], linear_mh_attention(X[0], Z[0, :2], params))
    same(found[1], linear_mh_attention(X[1], Z[1], params))


def test_heads_share_keys_and_values():
    params = init_mh_attention(jax.random.key(3), d_x=4, d_z=4, d_attn=5, d_mid=3, d_out=2, H=4)
    shared = {name: getattr(params.heads, name)[::2] for name in ("W_k", "b_k", "W_v", "b_v")}
    X = np.random.default_rng(4).standard_normal((6, 4))
    found = linear_mh_attention(X, X, params.replace(heads=params.heads.replace(**shared)), causal=True)
    repeated = {name: jnp.repeat(W, 2, axis=0) for name, W in shared.items()}
    same(found, linear_mh_attention(X, X, params.replace(heads=params.heads.replace(**repeated)), causal=True))


@pytest.mark.parametrize(
    ("phi", "options"),
    [(elu_plus_one, {}), (favor(OMEGA), {"table": None})],
    ids=["elu + 1, positions", "favor, no positions"],
)
def test_a_decoder_gives_the_same_token_by_token(phi, options):
    hp, params, x = decoder(**options)
    whole = d_linear_transformer_logits(x, params, hp, phi, chunk=4)
    states = empty_states(hp, (3,), phi, jnp.float64)
    first, states = d_linear_extend(x[:, :5], 0, states, params, hp, phi, chunk=2)
    rest = []
    for t in range(5, 9):
        logits, states = d_linear_extend(x[:, t : t + 1], t, states, params, hp, phi)
        rest.append(logits)
    same(jnp.concatenate([first, *rest], axis=1), whole)


def test_texts_of_a_batch_stand_at_positions_of_their_own():
    hp, params, x = decoder()
    states = [
        d_linear_extend(x[i, :n], 0, empty_states(hp, (), dtype="float64"), params, hp)[1] for i, n in ((0, 2), (1, 5))
    ]
    together = jax.tree.map(lambda *A: jnp.stack(A, axis=1), *states)
    logits, _ = d_linear_extend(x[:2, 5:6], np.array([2, 5]), together, params, hp)
    for i, t in enumerate((2, 5)):
        same(logits[i], d_linear_extend(x[i, 5:6], t, states[i], params, hp)[0])


def test_a_state_is_as_large_after_many_tokens_as_before_the_first():
    """And goes on past l_max, where there is no table of positions."""
    hp, params, x = decoder(table=None)
    states = empty_states(hp, (3,), dtype="float64")
    sizes = [A.shape for A in jax.tree.leaves(states)]
    assert sizes == [(2, 3, 2, E, D), (2, 3, 2, E)]
    for t in range(0, 45, 9):
        logits, states = d_linear_extend(x, t, states, params, hp)
    assert [A.shape for A in jax.tree.leaves(states)] == sizes
    assert jnp.isfinite(logits).all()


def test_a_step_is_compiled_once():
    hp, params, x = decoder()
    states, compiled = empty_states(hp, (3,), dtype="float64"), []
    linear_transformer._d_linear_extend.clear_cache()
    for t in range(6):
        _, states = d_linear_extend(x[:, t : t + 1], t, states, params, hp)
        compiled.append(linear_transformer._d_linear_extend._cache_size())
    assert compiled == [1] * 6


def test_without_a_mask_a_stack_of_layers_is_an_encoder():
    hp, params, x = decoder(table=None)
    order = np.random.default_rng(5).permutation(9)
    run = jax.jit(lambda x: d_layers(x, params, hp, linear_attend(causal=False))[0])
    same(run(x[:, order]), run(x)[:, order])
