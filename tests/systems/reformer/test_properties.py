"""LSH attention: what it keeps, and where it is exact attention with shared queries and keys."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from formal_tx import DTransformerHyperparameters, init_d_transformer, masks
from formal_tx.architectures import d_layers, logits_of
from formal_tx.attention import join_heads
from formal_tx.linear import affine
from formal_tx.long_context.reformer import (
    PACKAGED,
    ReformerHyperparameters,
    lsh_attention,
    reformer_d_transformer_logits,
    rotations,
)

L, D, D_MID = 13, 6, 3
KEY = jax.random.key(0)
HP = ReformerHyperparameters(chunk=4, buckets=4, rounds=2)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def hashes(hp, d=D, seed=9):
    return normal(seed, hp.rounds, d, hp.buckets // 2)


def exact(Q, V, see, self_score=-1e5):
    """softmax(Q K̂ᵀ / √d) V with K̂ = Q / |Q| where `see` is true; itself only for want of others."""
    S = Q @ (Q / np.linalg.norm(Q, axis=-1, keepdims=True)).T / np.sqrt(Q.shape[-1])
    S = np.where(see, S + self_score * np.eye(len(Q)), -np.inf)
    P = np.exp(S - S.max(axis=-1, keepdims=True))
    return P / P.sum(axis=-1, keepdims=True) @ V


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("chunk", [L, L + 4])
def test_one_chunk_without_bucket_mask_is_exact_attention(causal, chunk, x64):
    Q, V = normal(0, L, D), normal(1, L, D_MID)
    mask, see = (masks.causal, np.tri(L, dtype=bool)) if causal else (masks.full, np.ones((L, L), bool))
    for self_score in (0.0, -1e5):
        hp = ReformerHyperparameters(
            chunk=chunk, buckets=4, rounds=1, same_bucket=False, discourage_self=self_score != 0
        )
        found = lsh_attention(Q, V, hashes(hp), hp, mask)
        np.testing.assert_allclose(found, exact(Q, V, see, self_score), rtol=1e-12, atol=1e-13)


def test_rounds_together_are_one_softmax_over_all_who_ever_meet(x64):
    """By the normalisers, and with a pair that meets often counted once."""
    hp = ReformerHyperparameters(chunk=3, buckets=4, rounds=3)
    Q, V, R = normal(2, L, D), normal(3, L, D_MID), hashes(hp)
    met = np.eye(L, dtype=bool)
    for R_r in R:
        H = Q @ R_r
        b = np.argmax(np.concatenate([H, -H], axis=-1), axis=-1)
        c = np.argsort(np.argsort(b, kind="stable")) // hp.chunk
        behind = c[:, None] - c[None, :]
        met |= (b[:, None] == b[None, :]) & (behind >= 0) & (behind <= 1)
    assert not met.all()
    np.testing.assert_allclose(lsh_attention(Q, V, R, hp), exact(Q, V, met), rtol=1e-12, atol=1e-13)


def test_more_rounds_come_nearer_to_exact_attention(x64):
    Q, V = 3 * normal(4, 64, 8), normal(5, 64, 2)
    errors = []
    for rounds in (1, 4, 16):
        hp = ReformerHyperparameters(chunk=8, buckets=8, rounds=rounds)
        found = lsh_attention(Q, V, hashes(hp, 8), hp)
        errors.append(np.linalg.norm(found - exact(Q, V, np.ones((64, 64), bool))))
    assert errors[0] > 1.2 * errors[1] > 1.44 * errors[2]


def test_one_bucket_pair_of_equal_tokens_sees_all_of_two_chunks():
    """Equal queries fall into one bucket, and see their chunk and the one before, in the order of positions."""
    Q, V = np.ones((8, 2), np.float32), np.arange(8, dtype=np.float32)[:, None]
    hp = ReformerHyperparameters(chunk=2, buckets=2, rounds=1)
    found = lsh_attention(Q, V, np.ones((1, 2, 1), np.float32), hp, masks.causal)[:, 0]
    # Token 0 sees itself for want of others, 1 sees 0, 2 sees 0 and 1, 3 sees 0, 1 and 2, 4 sees 2 and 3, …
    np.testing.assert_allclose(found, [0, 0, 0.5, 1, 2.5, 3, 4.5, 5], rtol=1e-6)


def test_a_token_that_meets_nobody_answers_for_itself():
    Q, V = np.eye(4, dtype=np.float32), normal(6, 4, 2).astype(np.float32)
    hp = ReformerHyperparameters(chunk=4, buckets=8, rounds=1)
    np.testing.assert_allclose(lsh_attention(Q, V, np.eye(4, dtype=np.float32)[None], hp), V, rtol=1e-6)


def test_a_round_that_meets_nobody_counts_for_nothing(x64):
    """In the first round no two tokens meet, in the second all do."""
    Q, V = np.eye(4) + 0.1, normal(7, 4, 2)
    apart, together = np.eye(4), np.ones((4, 4)) * [1, -1, -1, -1]
    hp = ReformerHyperparameters(chunk=4, buckets=8, rounds=2)
    alone = ReformerHyperparameters(chunk=4, buckets=8, rounds=1)
    one = lsh_attention(Q, V, together[None], alone)
    np.testing.assert_allclose(lsh_attention(Q, V, np.stack([apart, together]), hp), one, rtol=1e-12)
    mean = ReformerHyperparameters(chunk=4, buckets=8, rounds=2, by_normaliser=False)
    np.testing.assert_allclose(lsh_attention(Q, V, np.stack([apart, together]), mean), (one + V) / 2, rtol=1e-12)


def test_weights_sum_to_one_and_it_is_linear_in_the_values(x64):
    Q, V, W = normal(8, L, D), normal(9, L, D_MID), normal(10, L, D_MID)
    f = partial(lsh_attention, Q, R=hashes(HP), hyperparameters=HP, mask=masks.causal)
    np.testing.assert_allclose(f(np.ones((L, 1))), np.ones((L, 1)), rtol=1e-12)
    np.testing.assert_allclose(f(2 * V - W), 2 * f(V) - f(W), rtol=1e-12, atol=1e-13)


def test_a_causal_mask_hides_what_is_later(x64):
    """The values of later tokens; their queries may move others to other chunks."""
    Q, V = normal(11, L, D), normal(12, L, D_MID)
    changed = V.copy()
    changed[7] += 5
    a, b = (lsh_attention(Q, v, hashes(HP), HP, masks.causal) for v in (V, changed))
    np.testing.assert_array_equal(a[:7], b[:7])
    assert np.abs(a[8:] - b[8:]).max() > 0


def test_the_form_of_the_package():
    hp = ReformerHyperparameters(**PACKAGED)
    assert (hp.chunk, hp.rounds) == (32, 4)
    assert [hp.same_bucket, hp.by_normaliser, hp.discourage_self] == [False] * 3


def test_equal_keys_give_equal_hashes():
    a, b = rotations(KEY, 5, HP), rotations(KEY, 5, HP)
    np.testing.assert_array_equal(a, b)
    assert a.shape == (2, 5, 2)
    assert np.abs(a - rotations(jax.random.key(1), 5, HP)).max() > 0


# Of a batch, gradients, programs


def test_a_batch_is_vmap_is_a_loop(x64):
    Q, V, R = normal(13, 2, 3, L, D), normal(14, 2, 3, L, D_MID), hashes(HP)
    f = partial(lsh_attention, R=R, hyperparameters=HP, mask=masks.causal)
    batched, mapped = f(Q, V), jax.vmap(jax.vmap(f))(Q, V)
    for i in range(2):
        for j in range(3):
            one = f(Q[i, j], V[i, j])
            np.testing.assert_allclose(batched[i, j], one, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(mapped[i, j], one, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(f(Q, V[0, 0]), f(Q, np.broadcast_to(V[0, 0], V.shape)), rtol=1e-12)


@pytest.mark.parametrize("options", [{}, PACKAGED], ids=["paper", "package"])
def test_gradients_are_those_of_differences(options, x64):
    """Buckets are steps, and constant near a point; one query is 0, which has no direction."""
    hp = ReformerHyperparameters(**options | {"chunk": 4, "buckets": 4, "rounds": 2})
    Q, V, R = jnp.asarray(normal(15, 9, D)), jnp.asarray(normal(16, 9, D_MID)), jnp.asarray(hashes(hp))
    check_grads(lambda Q, V: lsh_attention(Q, V, R, hp, masks.causal), (Q, V), order=1, modes=["rev"], eps=1e-6)
    gradient = jax.grad(lambda Q: lsh_attention(Q, V, R, hp).sum())(Q.at[3].set(0))
    assert np.isfinite(gradient).all()


def test_half_precision_is_near():
    Q, V, R = (jnp.asarray(A, jnp.float32) for A in (normal(17, L, D), normal(18, L, D_MID), hashes(HP)))
    Q, V, R = (A.astype(jnp.bfloat16) for A in (Q, V, R))
    found = lsh_attention(Q, V, R, HP)
    assert found.dtype == jnp.bfloat16
    assert np.isfinite(found.astype(jnp.float32)).all()


DECODER = DTransformerHyperparameters(l_max=16, L=2, H=3, d_e=12, d_mlp=16, N_V=9)


@pytest.fixture(scope="module")
def model():
    return init_d_transformer(jax.random.key(3), DECODER)


def test_a_decoder_of_such_layers(model):
    """Trains: all parameters but W_k have gradients. One program for all texts of a length, for every platform."""
    x, traced = np.random.default_rng(0).integers(0, 9, (2, 16)), []

    def loss(params, x):
        traced.append(x.shape)
        logits = reformer_d_transformer_logits(x, params, DECODER, HP, key=KEY)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits[:, :-1]), x[:, 1:, None], axis=-1).mean()

    program = jax.jit(jax.grad(loss))
    heads = program(model, x).layers.attention.heads
    assert np.abs(heads.W_k).max() == 0
    assert np.abs(heads.W_q).max() > 0
    program(jax.tree.map(lambda W: 2 * W, model), x[:, ::-1])
    assert len(traced) == 1
    exported = jax.export.export(program, platforms=["cpu", "cuda", "tpu"])(model, x)
    assert set(exported.platforms) == {"cpu", "cuda", "tpu"}


def test_a_decoder_in_one_chunk_is_a_decoder_with_shared_queries_and_keys(model):
    """Its first layer by hand: exact attention of each head."""
    one = DTransformerHyperparameters(l_max=16, L=1, H=3, d_e=12, d_mlp=16, N_V=9)
    params = model.replace(layers=jax.tree.map(lambda W: W[:1], model.layers))
    hp = ReformerHyperparameters(chunk=16, buckets=2, rounds=1, same_bucket=False)
    x = jnp.arange(9)
    found = reformer_d_transformer_logits(x, params, one, hp, key=KEY)

    def attend(X, W, state, window):
        Q, V = affine(X, W.heads.W_q, W.heads.b_q), affine(X, W.heads.W_v, W.heads.b_v)
        K = Q / jnp.linalg.norm(Q, axis=-1, keepdims=True)
        S = Q @ K.mT / jnp.sqrt(4.0) - 1e5 * jnp.eye(9)[None]
        return join_heads(jax.nn.softmax(jnp.where(jnp.tri(9, dtype=bool)[None], S, -jnp.inf)) @ V, W), state

    X, _ = d_layers(x, params, one, attend)
    np.testing.assert_allclose(found, logits_of(X, params, one), rtol=1e-4, atol=1e-5)  # float32
