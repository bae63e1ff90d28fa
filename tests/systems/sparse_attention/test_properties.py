"""Sparse attention: what each pattern reaches, blocks as the dense run, and whole models with these masks."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from formal_tx import DTransformerHyperparameters, ETransformerHyperparameters, masks
from formal_tx.architectures import d_layers, e_layers, logits_of, self_attend
from formal_tx.attend import dense
from formal_tx.attending import AS_PRINTED
from formal_tx.attention import mh_attention
from formal_tx.blockwise import blockwise
from formal_tx.inference.decoding import d_prefill, d_step
from formal_tx.initialization import init_d_transformer, init_e_transformer
from formal_tx.long_context import sparse_attention as sparse
from formal_tx.mask_blocks import Blocks

KEY = jax.random.key(0)
close = partial(np.testing.assert_allclose, rtol=0, atol=1e-12)  # float64's rounding in sums of a few dozen numbers
B, R = 4, 2  # a block, and how many random ones a block has


def table(mask, l):
    return np.asarray(masks.dense(mask, l, l))


def qkv(l, *batch, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.normal(size=(*batch, l, d))) for d in (5, 5, 3))


def drawn(l, block=B, r=R):
    return sparse.random_blocks(KEY, l // block, r)


def all_masks(l):
    """Every pattern, for l a multiple of 4 and of at least 28."""
    return _all_masks(l, jax.config.jax_enable_x64)


@cache
def _all_masks(l, x64):
    return {
        "banded": sparse.banded(3, 6),
        "endless": sparse.banded(2**40, 2),
        "local": sparse.local(5),
        "every": sparse.every(7),
        "strided": sparse.strided(5, 7),
        "fixed": sparse.fixed(7, 2),
        "dilated": sparse.dilated(3, 5),
        "global": sparse.global_tokens(2, [0, l - 3], l),
        "no global": sparse.global_tokens(2, [], l),
        "global of each": sparse.global_tokens(1, np.array([[0, 1], [9, 9]]), l),
        "bigbird": sparse.bigbird(l, B, drawn(l)),
        "bigbird without random": sparse.bigbird(l, B, drawn(l, r=0)),
    }


PATTERNS = tuple(all_masks(28))
FAST = {"banded", "bigbird"}
SOME = [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in PATTERNS]
slow = partial(pytest.param, marks=pytest.mark.slow)


# Patterns


@pytest.mark.parametrize("l", [1, 2, 9])
def test_what_is_wide_enough_is_everything(l):
    everything, before = np.ones((l, l), bool), np.tri(l, dtype=bool)
    full = [sparse.banded(l - 1, l - 1), sparse.dilated(l, 1), sparse.global_tokens(0, range(l), l)]
    causal = [sparse.banded(l - 1, 0), sparse.local(l), sparse.every(1), sparse.fixed(l), sparse.strided(l, 1)]
    assert all((table(mask, l) == everything).all() for mask in full)
    assert all((table(mask, l) == before).all() for mask in causal)
    assert (table(sparse.banded(0, 0), l) == np.eye(l, dtype=bool)).all()
    assert (table(sparse.every(l), l) == np.eye(l, dtype=bool)).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_blocks_all_see_each_other(n):
    assert table(sparse.bigbird(n * B, B, np.zeros((n, 0), int)), n * B).all()


@pytest.mark.parametrize("name", PATTERNS)
def test_every_token_sees_itself(name):
    assert np.diagonal(table(all_masks(28)[name], 28), axis1=-2, axis2=-1).all()


@pytest.mark.parametrize("w", [1, 2, 7, 20])
def test_how_many_pairs_a_causal_band_has(w):
    assert table(sparse.local(w), 20).sum() == w * 20 - w * (w - 1) // 2


@pytest.mark.parametrize(("s", "l"), [(8, 64), (3, 20), (1, 5)])
def test_two_hops_reach_every_token_before(s, l):
    near, far, before = table(sparse.local(s), l), table(sparse.every(s), l), np.tri(l, dtype=bool)
    merged, fixed = table(sparse.strided(s, s), l), table(sparse.fixed(s, 1), l)
    for first, second in ((near, far), (far, near), (merged, merged), (fixed, fixed)):
        assert ((first.astype(int) @ second > 0) == before).all()
    if 1 < s < l - 1:
        assert not (near.astype(int) @ near > 0)[-1, 0]


@pytest.mark.parametrize("w", [1, 4, 8])
def test_the_reach_of_a_stack_of_bands(w):
    """N layers of a window of w tokens, itself included, reach N (w - 1) tokens back."""
    see, l = table(sparse.local(w), 40).astype(int), 40
    for N in range(1, 5):
        reached = np.linalg.matrix_power(see, N)[-1] > 0
        assert l - 1 - np.argmax(reached) == N * (w - 1)


def test_bigbird_is_symmetric_but_for_what_is_drawn():
    without, within = (table(sparse.bigbird(44, B, drawn(44, r=r)), 44) for r in (0, R))
    assert (without == without.T).all()
    x, z = np.indices((44, 44)) // B
    ends = np.isin(x, [0, 10]) | np.isin(z, [0, 10])
    assert (without == (ends | (abs(x - z) <= 1))).all()
    assert (within[without]).all()
    assert within[4 * B].sum() == without[4 * B].sum() + R * B


@pytest.mark.parametrize(("n", "r"), [(6, 1), (7, 2), (11, 6), (40, 3), (3, 0)])
def test_random_blocks_are_those_that_are_not_seen_anyway(n, r):
    blocks = np.asarray(sparse.random_blocks(jax.random.key(n), n, r))
    assert blocks.shape == (n, r)
    for m, row in enumerate(blocks.tolist()):
        assert len(set(row)) == r
        assert set(row) <= set(range(n)) - {0, m - 1, m, m + 1, n - 1}


def test_every_free_block_is_as_likely():
    n, r, times = 9, 2, 4000
    blocks = np.asarray(jax.vmap(lambda key: sparse.random_blocks(key, n, r))(jax.random.split(KEY, times)))
    for m in range(n):
        free = sorted(set(range(n)) - {0, m - 1, m, m + 1, n - 1})
        counts = np.bincount(blocks[:, m].ravel(), minlength=n)[free]
        p = r / len(free)
        assert (abs(counts - times * p) <= 5 * np.sqrt(times * p * (1 - p))).all()  # five standard deviations


# What is visited


@pytest.mark.parametrize("name", SOME)
def test_all_that_is_seen_is_visited_once(name):
    """By blocks of other sizes than those of the patterns."""
    l, blocks = 60, Blocks(7, 5, 60, 60)
    mask = all_masks(l)[name]
    seen = table(mask, l).reshape(-1, l, l).any(axis=0)

    @jax.jit
    @jax.vmap
    def visits_of(i):
        visits = blocks.visits(mask, i)
        return visits.total, jax.vmap(visits.block)(jnp.arange(l // 5))

    for i, (total, found) in enumerate(zip(*visits_of(jnp.arange(-(-l // 7))), strict=True)):
        visited = found[:total].tolist()
        assert len(set(visited)) == len(visited)
        assert set(np.flatnonzero(seen[7 * i : 7 * i + 7].any(axis=0)) // 5) <= set(visited)


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda l: sparse.dilated(4, 4), 3),
        (lambda l: sparse.global_tokens(16, [0], l), 4),
        slow(lambda l: sparse.bigbird(l, 16, drawn(l, 16, 3)), 8),
    ],
    ids=["dilated", "global", "bigbird"],
)
def test_the_blocks_visited_do_not_grow_with_the_length(make, most):
    """Counted in blocks of 16; all but a few queries, which ask everybody, visit as many in a text 4 times as long."""

    def visits(l, mask):
        return jax.vmap(lambda i: Blocks(16, 16, l, l).visits(mask, i).total)(jnp.arange(l // 16))

    assert (np.sort(visits(256, make(256)))[:-2] <= most).all()
    assert (np.sort(visits(1024, make(1024)))[:-2] <= most).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bigbird", "endless", "dilated", "strided", "global of each"])
def test_long_sequences_in_blocks(x64, name):
    l = 1040
    mask = all_masks(l)[name]
    Q, K, V = qkv(l, 2)

    def of(form):
        return jax.jit(jax.value_and_grad(lambda Q, mask: (form(Q, mask) ** 2).sum()))(Q, mask)

    (found, gradient), (expected, slope) = (
        of(lambda Q, mask: blockwise(Q, K, V, mask, AS_PRINTED)),
        of(lambda Q, mask: dense(Q, K, V, masks.dense(mask, l, l).reshape(-1, l, l))),
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)  # float64's rounding, as above
    close(gradient, slope)


# Attention by blocks


@jax.jit
def as_dense(mask, Q, K, V):
    l = Q.shape[-2]
    return dense(Q, K, V, masks.dense(mask, l, l).reshape(*(1,) * (Q.ndim - 2), l, l))


FORMS = {
    "banded": (lambda Q, K, V: sparse.banded_attention(Q, K, V, 3, 2, B), lambda l: sparse.banded(3, 2)),
    "strided": (lambda Q, K, V: sparse.strided_attention(Q, K, V, 3), lambda l: sparse.every(3)),
    "bigbird": (
        lambda Q, K, V: sparse.bigbird_attention(Q, K, V, B, drawn(Q.shape[-2])),
        lambda l: sparse.bigbird(l, B, drawn(l)),
    ),
}
EACH = pytest.mark.parametrize("form", FORMS)
L = 36


@pytest.mark.parametrize(("left", "right", "block"), [(4, 0, 4), (0, 5, 2), slow(7, 1, 4), slow(50, 50, 5)])
def test_a_band_by_blocks_is_the_dense_run(x64, left, right, block):
    for l in (1, block - 1, block, block + 1, 3 * block + 1):
        Q, K, V = qkv(l, seed=l)
        close(sparse.banded_attention(Q, K, V, left, right, block), as_dense(sparse.banded(left, right), Q, K, V))


def test_a_band_by_blocks_of_a_size_that_suits(x64):
    Q, K, V = qkv(9)
    for left, right in ((2, 3), (20, 0)):
        close(sparse.banded_attention(Q, K, V, left, right), as_dense(sparse.banded(left, right), Q, K, V))


@EACH
def test_it_is_the_dense_run_and_so_are_its_gradients(x64, form):
    f, mask = FORMS[form]
    arguments = qkv(L, 2)
    close(f(*arguments), as_dense(mask(L), *arguments))
    gradients = (
        jax.jit(jax.grad(lambda *a, f=f: (f(*a) ** 2).sum(), (0, 1, 2)))(*arguments)
        for f in (f, partial(as_dense, mask(L)))
    )
    jax.tree.map(close, *gradients)


@pytest.mark.slow
@EACH
def test_it_is_the_dense_run_in_single_precision(form):
    f, mask = FORMS[form]
    arguments = tuple(jnp.asarray(A, jnp.float32) for A in qkv(L))
    found, expected = f(*arguments), as_dense(mask(L), *arguments)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)  # the specification's bar


@EACH
def test_gradients_are_differences(x64, form):
    # Relative to numbers of size 1, what differences of order 1e-6 leave in float64.
    check_grads(jax.jit(FORMS[form][0]), qkv(L), order=1, modes=["rev"], rtol=1e-6, atol=1e-6)


@EACH
def test_a_batch_is_vmap_is_a_loop(x64, form):
    f, arguments = FORMS[form][0], qkv(L, 2, 3)
    found = f(*arguments)
    close(jax.vmap(f)(*arguments), found)
    close([[f(*(A[i, h] for A in arguments)) for h in range(3)] for i in range(2)], found)
    shared = f(arguments[0], arguments[1][:1, :1], arguments[2])
    close(shared, f(arguments[0], jnp.broadcast_to(arguments[1][:1, :1], (2, 3, L, 5)), arguments[2]))


@EACH
def test_a_key_outside_of_the_mask_changes_no_bit(x64, form):
    f, mask = FORMS[form]
    Q, K, V = qkv(L)
    see = table(mask(L), L)
    j = 9
    assert 0 < see[:, j].sum() < L
    before, after = f(Q, K, V), f(Q, K.at[j].set(1e6), V.at[j].set(1e6))
    assert (before[~see[:, j]] == after[~see[:, j]]).all()
    assert (before[see[:, j]] != after[see[:, j]]).any(axis=-1).all()


def test_a_band_of_itself_alone_gives_its_value(x64):
    Q, K, V = qkv(13)
    assert (sparse.banded_attention(Q, K, V, 0, 0, 4) == V).all()
    assert (sparse.strided_attention(Q, K, V, 13) == V).all()
    close(sparse.strided_attention(Q, K, V, 100), V)


def test_a_block_that_is_drawn_although_it_is_seen_counts_once(x64):
    Q, K, V = qkv(L)
    n = L // B
    colliding = np.stack([np.zeros(n, int), np.arange(n), np.full(n, n - 1)], axis=1)
    close(sparse.bigbird_attention(Q, K, V, B, colliding), sparse.bigbird_attention(Q, K, V, B, drawn(L, r=0)))
    close(as_dense(sparse.bigbird(L, B, colliding), Q, K, V), as_dense(sparse.bigbird(L, B, drawn(L, r=0)), Q, K, V))


def test_random_blocks_of_each_head(x64):
    Q, K, V = qkv(L, 2)
    of_heads = jax.vmap(lambda key: sparse.random_blocks(key, L // B, R))(jax.random.split(KEY, 2))
    assert (of_heads[0] != of_heads[1]).any()
    found = jax.vmap(sparse.bigbird_attention, in_axes=(0, 0, 0, None, 0))(Q, K, V, B, of_heads)
    close(found, jnp.stack([sparse.bigbird_attention(Q[h], K[h], V[h], B, of_heads[h]) for h in range(2)]))


@EACH
def test_it_lowers_for_every_platform(form):
    arguments = tuple(jnp.asarray(A, jnp.float32) for A in qkv(L))
    f = jax.jit(jax.value_and_grad(lambda *a: FORMS[form][0](*a).sum()))
    assert set(jax.export.export(f, platforms=["cpu", "cuda", "tpu"])(*arguments).platforms) == {"cpu", "cuda", "tpu"}


# Longformer


def longformer(seed=0, tied=False, d_e=6):
    params = sparse.init_longformer(jax.random.key(seed), d_e=d_e, d_attn=2, d_mid=3, d_out=5, H=2)
    params = jax.tree.map(lambda W: W + 0.3 * jax.random.normal(KEY, W.shape, W.dtype), params)
    other = params.attention.heads if tied else jax.tree.map(lambda W: W[::-1] + 0.1, params.attention.heads)
    return params.replace(global_heads=other)


def rows(l, *batch, seed=3):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(*batch, l, 6)))


def test_it_begins_with_one_set_of_projections():
    params = sparse.init_longformer(KEY, d_e=6, d_attn=2, d_mid=3, d_out=5, H=2)
    leaves = map(jax.tree.leaves, (params.global_heads, params.attention.heads))
    assert all((a == b).all() for a, b in zip(*leaves, strict=True))


@pytest.mark.parametrize("l", [9, slow(1)])
def test_longformer_without_and_with_nothing_but_global_tokens(x64, l):
    X, params = rows(l), longformer(tied=True)
    close(sparse.longformer_attention(X, params, 2, range(l)), mh_attention(X, X, params.attention))
    close(sparse.longformer_attention(X, params, 2, []), mh_attention(X, X, params.attention, sparse.banded(2, 2)))
    mixed = mh_attention(X, X, params.attention, sparse.global_tokens(2, [0], l))
    close(sparse.longformer_attention(X, params, 2, [0]), mixed)
    if l > 1:
        assert abs(sparse.longformer_attention(X, longformer(), 2, [0]) - mixed)[0].max() > 1e-3
        close(sparse.longformer_attention(X, longformer(), 2, [0])[1:], mixed[1:])


def test_longformer_of_a_batch_with_padding(x64):
    X, params = rows(9, 2), longformer()
    tokens, lengths = np.array([[0, 4], [2, 2]]), np.array([9, 4])
    f = partial(sparse.longformer_attention, width=2)
    found = f(X, params, tokens=tokens, lengths=lengths)
    for i, length in enumerate(lengths):
        close(found[i, :length], f(X[i, :length], params, tokens=tokens[i, ::-1]))
        close(found[i, length:], jnp.broadcast_to(params.attention.b_o, (9 - length, 5)))
    close(jax.vmap(lambda X, tokens, l: f(X, params, tokens=tokens, lengths=l))(X, tokens, lengths), found)
    close(f(X, params, tokens=[0, 4])[0], found[0])
    spoiled = X.at[1, 4:].set(1e6)
    assert (f(spoiled, params, tokens=tokens, lengths=lengths)[1] == found[1]).all()


def test_gradients_of_longformer(x64):
    params = longformer()
    lengths = np.array([9, 1])

    @jax.jit
    def loss(X, params):
        return (sparse.longformer_attention(X, params, 1, jnp.array([0, 8]), lengths) ** 2).sum()

    check_grads(loss, (rows(9, 2), params), order=1, modes=["rev"], rtol=1e-5, atol=1e-5)  # as above, summed
    export = jax.export.export(jax.jit(jax.grad(loss)), platforms=["cpu", "cuda", "tpu"])
    assert len(export(rows(9, 2), params).platforms) == 3


@pytest.mark.slow
def test_nothing_is_compiled_anew_for_other_values():
    X = jnp.asarray(rows(8), jnp.float32)
    params, counted = jax.tree.map(lambda W: W.astype(jnp.float32), longformer()), []

    @jax.jit
    def f(X, tokens, mask, blocks):
        counted.append(1)
        Y = sparse.bigbird_attention(X, X, X, 1, blocks)
        return Y, sparse.longformer_attention(X, params, 2, tokens), mh_attention(X, X, params.attention, mask)

    for seed in (1, 2):
        f(X, jnp.array([seed, 4]), sparse.banded(seed, 2), sparse.random_blocks(jax.random.key(seed), 8, 2))
    assert len(counted) == 1


# Whole models

D = DTransformerHyperparameters(l_max=28, L=2, H=2, d_e=6, d_mlp=7, N_V=11)
E = ETransformerHyperparameters(l_max=28, L=2, H=2, d_e=6, d_mlp=7, N_V=11, d_f=5)
IDS = np.random.default_rng(1).integers(0, 11, 28)


@pytest.fixture
def models(x64):
    found = init_d_transformer(KEY, D), init_e_transformer(KEY, E)
    return jax.tree.map(lambda W: 2 * jnp.asarray(W, float), found)


@jax.jit
def _decoded(x, params, mask):
    return d_layers(x, params, D, self_attend(mask))[0]


@jax.jit
def _encoded(e, params, mask):
    return e_layers(e, params, E, mask)


@pytest.mark.parametrize("name", SOME)
def test_a_decoder_and_an_encoder_run_with_every_pattern(models, name):
    """As they do with the same mask as a boolean array, and a decoder sees nothing that follows."""
    d, e = models
    mask = all_masks(28)[name]
    seen, x, embedded = table(mask, 28), IDS, jnp.asarray(np.random.default_rng(2).normal(size=(28, 6)))
    if seen.ndim == 3:
        x, embedded = np.stack([x, x]), jnp.stack([embedded, embedded])
    close(_encoded(embedded, e, mask), _encoded(embedded, e, masks.as_mask(seen)))
    found = _decoded(x, d, masks.causal & mask)
    close(found, _decoded(x, d, masks.as_mask(seen & np.tri(28, dtype=bool))))
    close(found[..., :20, :], _decoded(np.where(np.arange(28) < 20, x, 0), d, masks.causal & mask)[..., :20, :])


def test_a_model_whose_patterns_are_wide_enough_is_the_plain_one(models):
    d, e = models
    embedded = jnp.asarray(np.random.default_rng(2).normal(size=(28, 6)))
    plain = _decoded(IDS, d, masks.causal)
    for mask in (sparse.local(28), sparse.every(1), sparse.fixed(28), sparse.strided(28, 5)):
        close(_decoded(IDS, d, mask), plain)
    for mask in (
        sparse.banded(28, 28),
        sparse.global_tokens(0, range(28), 28),
        sparse.bigbird(28, 14, drawn(28, 14, 0)),
    ):
        close(_encoded(embedded, e, mask), _encoded(embedded, e, masks.full))


@pytest.mark.parametrize("w", [3, slow(1), slow(40)])
def test_decoding_step_by_step_is_the_banded_run(models, w):
    """The cache with `windows` gives each token what the whole stack with the mask `local` gives it."""
    d, _ = models
    hp = DTransformerHyperparameters(l_max=28, L=2, H=2, d_e=6, d_mlp=7, N_V=11, windows=(w,))
    expected = logits_of(_decoded(IDS, d, sparse.local(w)), d, D)
    cache = d_prefill(IDS[:5], d, hp)
    step = jax.jit(lambda x, t, cache: d_step(x, t, cache, d, hp))
    for t in range(5, 28):
        logits, cache = step(jnp.asarray(IDS[t]), jnp.asarray(t), cache)
        close(logits, expected[t])
