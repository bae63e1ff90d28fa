"""Algorithms 3, 4 and 5: their properties, those that many heads share with one (P5.5), and the kinds of attention."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import formal_tx
from formal_tx import masks
from formal_tx.groups import scores
from formal_tx.implementation import attend_with

from .strategies import (
    ATTENTION,
    MH_ATTENTION,
    TOLERANCE,
    close,
    differ,
    few,
    normal,
    permutation,
    pick,
    random_head,
    random_heads,
    seeds,
    some,
)

L_X, L_Z, D_X, D_Z = 3, 5, 6, 7  # for cross-attention; L_Z tokens of width D_X attend to themselves


@pytest.fixture(scope="module", params=[ATTENTION, MH_ATTENTION], ids=["attention", "mh_attention"])
def kind(request):
    """One head (P4.…), or several heads mixed, of which the same is true (P5.5)."""
    return request.param


@pytest.fixture(scope="module")
def attend(edition, kind):
    return getattr(edition, kind.name)


def random_mask(seed, l_x, l_z):
    """A boolean array (ℓ_x, ℓ_z) in which every query sees something."""
    rng = np.random.default_rng(seed)
    mask = rng.random((l_x, l_z)) < 0.5
    mask[np.arange(l_x), rng.integers(0, l_z, l_x)] = True
    return mask


def triangle(n):
    return np.tri(n, dtype=bool)


def everything(l_x, l_z):
    return np.ones((l_x, l_z), bool)


def self_input(kind, seed):
    return normal(seed, L_Z, D_X), kind.draw(seed, D_X, D_X)


def cross_input(kind, seed):
    return normal(seed, L_X, D_X), normal(seed + 1, L_Z, D_Z), kind.draw(seed, D_X, D_Z)


# Algorithm 3


def single_query_input(seed):
    return normal(seed, D_X), normal(seed + 1, L_Z, D_X), random_head(seed, d_x=D_X, d_z=D_X, d_attn=2, d_out=4)


@some
@given(seed=seeds)
def test_single_query_attention(edition, seed):
    """P3.1, P3.2, P3.3, P3.4, P3.5: a mean of the values with weights that the context decides, and nothing else."""
    e, context, params = single_query_input(seed)
    values = context @ params.W_v.T + params.b_v
    answer = edition.single_query(e, context, params)
    assert (answer >= values.min(axis=0) - TOLERANCE).all()
    assert (answer <= values.max(axis=0) + TOLERANCE).all()
    close(edition.single_query(e, context[:1], params), values[0])
    close(edition.single_query(e, context[permutation(seed, L_Z)], params), answer)
    close(edition.single_query(e, np.concatenate([context, context]), params), answer)
    unasked = params.replace(W_q=np.zeros_like(params.W_q), b_q=np.zeros_like(params.b_q))
    close(edition.single_query(e, context, unasked), values.mean(axis=0))


# Algorithm 4, and what of it holds for Algorithm 5 (P5.5)


@some
@given(seed=seeds)
def test_attention_is_single_query_attention_to_what_the_mask_lets_see(edition, seed):
    """P4.1: row t_x is Algorithm 3 with the context of those tokens that t_x may attend to."""
    X, Z = normal(seed, L_X, D_X), normal(seed + 1, L_Z, D_X)
    params = random_head(seed, d_x=D_X, d_z=D_X, d_attn=2, d_out=4)
    mask = random_mask(seed, L_X, L_Z)
    V_tilde = edition.attention(X, Z, params, mask)
    for t in range(L_X):
        close(V_tilde[t], edition.single_query(X[t], Z[mask[t]], params))


@some
@given(seed=seeds)
def test_attention_weights(edition, seed):
    """P4.2: the weights of a query sum to 1, and are 0 where the mask says so."""
    X, Z, params = cross_input(ATTENTION, seed)
    # With the unit vectors for values the answer is the weights themselves.
    Z = np.concatenate([Z, np.eye(L_Z)], axis=1)
    pad = np.zeros((len(params.W_k), L_Z))
    select = np.eye(D_Z + L_Z)[D_Z:]
    params = params.replace(W_k=np.concatenate([params.W_k, pad], axis=1), W_v=select, b_v=np.zeros(L_Z))
    mask = random_mask(seed, L_X, L_Z)
    weights = edition.attention(X, Z, params, mask)
    close(weights.sum(axis=1), np.ones(L_X))
    assert (weights[~mask] == 0).all()
    assert (weights[mask] > 0).all()


@some
@given(seed=seeds)
def test_the_bias_of_the_keys_is_irrelevant(attend, kind, seed):
    """P4.3, P5.5: the output does not depend on b_k."""
    X, Z, params = cross_input(kind, seed)
    mask = random_mask(seed, L_X, L_Z)
    other = kind.replace(params, b_k=normal(seed + 2, *kind.heads(params).b_k.shape))
    close(attend(X, Z, other, mask), attend(X, Z, params, mask))


def test_the_gradient_of_the_bias_of_the_keys_is_zero(kind):
    """P4.3, P5.5: the gradient with respect to b_k is 0."""
    f = getattr(formal_tx, kind.name)
    gradient = jax.jit(jax.grad(lambda params, X, Z, mask: jnp.sum(jnp.sin(f(X, Z, params, mask)))))

    @few
    @given(seed=seeds)
    def check(seed):
        X, Z, params = cross_input(kind, seed)
        g = kind.heads(gradient(params, X, Z, random_mask(seed, L_X, L_Z)))
        close(g.b_k, np.zeros_like(g.b_k))
        differ(g.b_q, 0)

    check()


@some
@given(seed=seeds)
def test_the_bias_of_the_values_is_added(attend, kind, seed):
    """P4.4, P5.5: adding c to b_v adds c (of head h: W_o^h c) to every row."""
    X, Z, params = cross_input(kind, seed)
    mask = random_mask(seed, L_X, L_Z)
    c = normal(seed + 2, *kind.heads(params).b_v.shape)
    shifted = kind.replace(params, b_v=kind.heads(params).b_v + c)
    added = (kind.values(shifted, Z) - kind.values(params, Z))[:1]
    close(attend(X, Z, shifted, mask), attend(X, Z, params, mask) + added)


@some
@given(seed=seeds)
def test_queries_and_keys_have_a_gauge(attend, kind, seed):
    """P4.5, P5.5: scaling queries by a and keys by 1/a, or M and M^-T, changes nothing."""
    X, Z, params = cross_input(kind, seed)
    heads = kind.heads(params)
    rng = np.random.default_rng(seed)
    mask = random_mask(seed, L_X, L_Z)
    expected = attend(X, Z, params, mask)
    rotation, _ = np.linalg.qr(rng.normal(size=(2, 2)))
    for M in (rng.uniform(0.5, 2) * rng.choice([-1, 1]) * np.eye(2), rotation @ np.diag(rng.uniform(0.5, 2, 2))):
        inverse = np.linalg.inv(M).T
        gauged = {
            "W_q": M @ heads.W_q,
            "b_q": heads.b_q @ M.T,
            "W_k": inverse @ heads.W_k,
            "b_k": heads.b_k @ inverse.T,
        }
        close(attend(X, Z, kind.replace(params, **gauged), mask), expected)


@some
@given(seed=seeds)
def test_attention_does_not_know_an_order(attend, kind, seed):
    """P4.6, P4.7, P4.8, P5.5: without a mask it is equivariant in X, invariant in Z, and equivariant in X = Z."""
    X, Z, params = cross_input(kind, seed)
    x, z = permutation(seed, L_X), permutation(seed + 1, L_Z)
    expected = attend(X, Z, params, everything(L_X, L_Z))
    close(attend(X[x], Z, params, everything(L_X, L_Z)), expected[x])
    close(attend(X, Z[z], params, everything(L_X, L_Z)), expected)
    X, params = self_input(kind, seed)
    expected = attend(X, X, params, everything(L_Z, L_Z))
    close(attend(X[z], X[z], params, everything(L_Z, L_Z)), expected[z])


@some
@given(seed=seeds)
def test_unidirectional_attention_does_not_see_the_future(attend, kind, seed):
    """P4.9, P5.5: changing the tokens after t leaves rows up to t as they are, and changes the others."""
    X, params = self_input(kind, seed)
    t = 1 + seed % (L_Z - 1)
    other = X.copy()
    other[t:] = normal(seed + 2, L_Z - t, D_X)
    before, after = attend(X, X, params, triangle(L_Z)), attend(other, other, params, triangle(L_Z))
    np.testing.assert_array_equal(after[:t], before[:t])
    differ(after[t:], before[t:])


@few
@given(seed=seeds)
def test_unidirectional_attention_of_a_prefix(attend, kind, seed):
    """P4.10, P5.5: the answer for a prefix is the prefix of the answer."""
    X, params = self_input(kind, seed)
    whole = attend(X, X, params, masks.causal)
    for t in range(1, L_Z + 1):
        close(attend(X[:t], X[:t], params, masks.causal), whole[:t])


@some
@given(seed=seeds)
def test_first_and_last_row_of_unidirectional_attention(attend, kind, seed):
    """P4.11, P5.5: the first row is the first value, the last row is that of bidirectional attention."""
    X, params = self_input(kind, seed)
    V_tilde = attend(X, X, params, triangle(L_Z))
    close(V_tilde[0], kind.values(params, X)[0])
    close(V_tilde[-1], attend(X, X, params, everything(L_Z, L_Z))[-1])


@some
@given(seed=seeds)
def test_attention_to_one_token(attend, kind, seed):
    """P4.12, P4.14, P5.5: of one token both masks are the same; if Z is one token, its value is every answer."""
    X, params = self_input(kind, seed)
    one = X[:1]
    close(attend(one, one, params, masks.causal), attend(one, one, params, masks.full))
    X, Z, params = cross_input(kind, seed)
    value = kind.values(params, Z[:1])
    close(attend(X, Z[:1], params), np.repeat(value, L_X, axis=0))


@few
@given(seed=seeds)
def test_cross_attention_to_itself_is_bidirectional_self_attention(attend, kind, seed):
    """P4.13, P5.5: with Z = X and a mask of ones."""
    X, params = self_input(kind, seed)
    close(attend(X, X.copy(), params, everything(L_Z, L_Z)), attend(X, X, params, masks.full))


@pytest.mark.parametrize("l_z", [1, 2, 5])
def test_the_shape_of_the_answer(attend, kind, l_z):
    """P4.15, P5.5: (ℓ_x, d_out) for every ℓ_z."""
    X, Z, params = cross_input(kind, l_z)
    assert attend(X, Z[:l_z], params).shape == (L_X, kind.d_out)


@pytest.mark.parametrize("implementation", ["dense", "rows", "blockwise"])
@pytest.mark.parametrize("l_x", [1, L_X])
@pytest.mark.parametrize(
    ("of_X", "of_Z"), [((1,), (4,)), ((4,), (1,)), ((), (4,)), ((4,), ()), ((2, 1), (1, 4))], ids=str
)
def test_leading_axes_of_both_sequences_fit_each_other(kind, implementation, l_x, of_X, of_Z):
    """One sequence that asks many, many that ask one: as with axes that are written out."""
    f = getattr(formal_tx, kind.name)
    params = kind.draw(0, D_X, D_Z)
    X, Z = normal(1, *of_X, l_x, D_X), normal(2, *of_Z, L_Z, D_Z)
    batch = np.broadcast_shapes(of_X, of_Z)
    all_X, all_Z = (np.broadcast_to(A, (*batch, *A.shape[-2:])) for A in (X, Z))
    with attend_with(implementation):
        answers = f(X, Z, params)
        for i in np.ndindex(batch):
            close(answers[i], f(all_X[i], all_Z[i], params))


@pytest.mark.parametrize(("H", "H_kv"), [(1, 1), (3, 3), (6, 2), (4, 1)])
@pytest.mark.parametrize("l_x", [1, L_X])
def test_scores_of_heads_that_share_keys(l_x, H, H_kv):
    Q, K = normal(0, 2, H, l_x, D_X), normal(1, 2, H_kv, L_Z, D_X)
    close(scores(Q, K), np.einsum("...xd,...zd->...xz", Q, K.repeat(H // H_kv, axis=1)))


def test_what_the_mask_hides_has_no_influence(kind):
    """P4.16, P5.5: the Jacobian of row t_x with respect to Z[t_z] is 0 where the mask is false, and only there."""
    f = getattr(formal_tx, kind.name)
    jacobian = jax.jit(jax.jacobian(lambda Z, X, params, mask: f(X, Z, params, mask)))

    @some
    @given(seed=seeds)
    def check(seed):
        X, Z, params = cross_input(kind, seed)
        mask = random_mask(seed, L_X, L_Z)
        influence = np.abs(jacobian(Z, X, params, mask)).max(axis=(1, 3))
        assert (influence[~mask] == 0).all()
        assert (influence[mask] > 0).all()

    check()


# Algorithm 5


def heads_input(seed, d_out=5):
    X, Z = normal(seed, L_X, D_X), normal(seed + 1, L_Z, D_Z)
    return X, Z, random_heads(seed, d_x=D_X, d_z=D_Z, d_attn=2, d_mid=4, d_out=d_out, H=3), random_mask(seed, L_X, L_Z)


def blocks(W_o, H=3):
    """W_o^1, …, W_o^H, side by side in W_o."""
    return np.split(W_o, H, axis=1)


@some
@given(seed=seeds)
def test_one_head_and_the_identity_are_algorithm_4(edition, seed):
    """P5.1: H = 1, W_o = I and b_o = 0; and with any W_o, b_o a linear map of what Algorithm 4 gives."""
    X, Z, _, mask = heads_input(seed)
    params = random_heads(seed, d_x=D_X, d_z=D_Z, d_attn=2, d_mid=4, d_out=4, H=1)
    Y = edition.attention(X, Z, pick(params.heads, 0), mask)
    close(edition.mh_attention(X, Z, params.replace(W_o=np.eye(4), b_o=np.zeros(4)), mask), Y)
    close(edition.mh_attention(X, Z, params, mask), Y @ params.W_o.T + params.b_o)


@some
@given(seed=seeds)
def test_concatenated_heads_are_a_sum(edition, seed):
    """P5.2: Σ_h W_o^h Y^h + b_o."""
    X, Z, params, mask = heads_input(seed)
    Y = [edition.attention(X, Z, pick(params.heads, h), mask) for h in range(3)]
    expected = sum(Y_h @ W_h.T for Y_h, W_h in zip(Y, blocks(params.W_o), strict=True)) + params.b_o
    close(edition.mh_attention(X, Z, params, mask), expected)


@some
@given(seed=seeds)
def test_the_order_of_heads(edition, seed):
    """P5.3: permuting heads together with the blocks of W_o changes nothing; permuting them alone does."""
    X, Z, params, mask = heads_input(seed)
    order = np.roll(np.arange(3), 1 + seed % 2)
    expected = edition.mh_attention(X, Z, params, mask)
    moved = params.replace(heads=pick(params.heads, order))
    W_o = np.concatenate([blocks(params.W_o)[h] for h in order], axis=1)
    close(edition.mh_attention(X, Z, moved.replace(W_o=W_o), mask), expected)
    differ(edition.mh_attention(X, Z, moved, mask), expected)


@some
@given(seed=seeds)
def test_heads_that_nobody_listens_to(edition, seed):
    """P5.4: W_o = 0 gives b_o."""
    X, Z, params, mask = heads_input(seed)
    deaf = params.replace(W_o=np.zeros_like(params.W_o))
    np.testing.assert_array_equal(edition.mh_attention(X, Z, deaf, mask), np.tile(params.b_o, (L_X, 1)))


@some
@given(seed=seeds)
def test_two_identical_heads_are_one(edition, seed):
    """P5.6: one head with the sum of the two blocks of W_o."""
    X, Z, params, mask = heads_input(seed)
    twice = params.replace(heads=pick(params.heads, np.array([0, 0, 2])))
    first, second, third = blocks(params.W_o)
    W_o = np.concatenate([first + second, np.zeros_like(second), third], axis=1)
    close(edition.mh_attention(X, Z, twice, mask), edition.mh_attention(X, Z, params.replace(W_o=W_o), mask))


@some
@given(seed=seeds)
def test_the_bias_of_the_values_is_redundant(edition, seed):
    """P5.7: (b_v^h, b_o) and (0, b_o + Σ_h W_o^h b_v^h) give the same."""
    X, Z, params, mask = heads_input(seed)
    b_v = params.heads.b_v
    heads = params.heads.replace(b_v=np.zeros_like(b_v))
    moved = params.replace(heads=heads, b_o=params.b_o + params.W_o @ b_v.reshape(-1))
    close(edition.mh_attention(X, Z, moved, mask), edition.mh_attention(X, Z, params, mask))


# The kinds of attention


@few
@given(seed=seeds)
def test_unidirectional_is_bidirectional_and_a_mask(attend, kind, seed):
    """The three ways to say unidirectional: the predicate, the dense mask, and bidirectional combined with the mask."""
    X, params = self_input(kind, seed)
    expected = attend(X, X, params, masks.causal)
    close(attend(X, X, params, triangle(L_Z)), expected)
    close(attend(X, X, params, masks.full & masks.causal), expected)
    differ(attend(X, X, params, masks.full), expected)


@few
@given(seed=seeds)
def test_a_row_of_unidirectional_attention(attend, kind, seed):
    """Row t is the last row of bidirectional attention on the prefix, and cross-attention from t to the prefix."""
    X, params = self_input(kind, seed)
    V_tilde = attend(X, X, params, masks.causal)
    for t in range(L_Z):
        prefix = X[: t + 1]
        close(attend(prefix, prefix, params, masks.full)[-1], V_tilde[t])
        close(attend(X[t : t + 1], prefix, params, masks.full)[0], V_tilde[t])


# Batches


def _single_query_batch(seed):
    return normal(seed, 2, D_X), normal(seed + 1, 2, L_Z, D_X), single_query_input(seed)[2]


def _batch_of(kind):
    def draw(seed):
        mask = np.stack([random_mask(seed + i, L_X, L_Z) for i in range(2)])
        return normal(seed, 2, L_X, D_X), normal(seed + 1, 2, L_Z, D_Z), kind.draw(seed, D_X, D_Z), mask

    return draw


@pytest.mark.parametrize(
    ("f", "draw", "axes"),
    [
        (formal_tx.basic_single_query_attention, _single_query_batch, (0, 0, None)),
        (formal_tx.attention, _batch_of(ATTENTION), (0, 0, None, 0)),
        (formal_tx.mh_attention, _batch_of(MH_ATTENTION), (0, 0, None, 0)),
    ],
    ids=["basic_single_query_attention", "attention", "mh_attention"],
)
def test_a_batch_is_a_vmap_is_a_loop(f, draw, axes):
    """Leading axes are free: a batched call, `vmap` and a Python loop give the same numbers."""
    mapped = jax.vmap(f, axes)

    @few
    @given(seed=seeds)
    def check(seed):
        arguments = draw(seed)
        result = f(*arguments)
        close(mapped(*arguments), result)
        for i in range(2):
            one = [a if axis is None else a[i] for a, axis in zip(arguments, axes, strict=True)]
            close(f(*one), result[i])

    check()


@few
@given(seed=seeds)
def test_a_vmap_over_parameters(kind, seed):
    """`vmap` over parameters gives for each of them what a call with it alone does."""
    f = getattr(formal_tx, kind.name)
    X, Z, _ = cross_input(kind, seed)
    many = [kind.draw(seed + i, D_X, D_Z) for i in range(2)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *many)
    mapped = jax.vmap(lambda params: f(X, Z, params))(stacked)
    for i, params in enumerate(many):
        close(f(X, Z, params), mapped[i])
