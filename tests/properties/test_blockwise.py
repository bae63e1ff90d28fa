"""Attention by blocks, or by rows, is attention: the same answers and gradients as all scores at once, for any mask."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import formal_tx
from formal_tx import masks
from formal_tx.attend import attend
from formal_tx.attending import AS_PRINTED, Attending
from formal_tx.implementation import attend_with
from formal_tx.mask_blocks import Blocks, block_size, quarters, sees
from formal_tx.positional import Alibi, RelativeBuckets
from formal_tx.scores import SoftCap

B, H, H_KV, L_X, L_Z, D_ATTN, D_MID = 2, 4, 2, 37, 41, 8, 6
RNG = np.random.default_rng(0)
SEGMENTS = np.sort(RNG.integers(0, 4, (B, L_Z)), axis=-1)
TABLE = RNG.random((B, L_X, L_Z)) < 0.5
TABLE[:, :, 0] = True
MASKS = {
    "full": lambda: masks.full,
    "causal": lambda: masks.causal,
    "window": lambda: masks.causal & masks.window(5),
    "wide window": lambda: masks.window(np.iinfo(np.int32).max),
    "padding": lambda: masks.padding(jnp.array([30, 41])) & masks.causal,
    "segments": lambda: masks.same_segment(SEGMENTS) & masks.causal,
    "array": lambda: masks.as_mask(TABLE),
    "array and predicate": lambda: masks.as_mask(TABLE) & (masks.causal | masks.window(3)),
    "not": lambda: ~masks.window(3),
    "first keys and window": lambda: LAMBDA,
    "row array": lambda: masks.as_mask(TABLE[:, :1]),
}
VARIED = {
    "printed": AS_PRINTED,
    "cap": Attending(score=SoftCap(2.0), scale=0.3),
    "buckets": Attending(score=RelativeBuckets(8, 16)),
    "alibi": Attending(score=Alibi()),
}


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr("formal_tx.mask_blocks.LARGEST_BLOCK", 16)


def arrays(dtype=np.float64):
    Q = RNG.standard_normal((B, H, L_X, D_ATTN))
    K, V = (RNG.standard_normal((B, H_KV, L_Z, d)) for d in (D_ATTN, D_MID))
    return [jnp.asarray(A, dtype) for A in (Q, K, V, RNG.standard_normal((8, H)))]


def answers_and_gradients(implementation, mask, attending, Q, K, V, W_r):
    W_r = W_r if isinstance(attending.score, RelativeBuckets) else None
    with attend_with(implementation):
        answers, pull = jax.vjp(lambda Q, K, V, W_r: attend(Q, K, V, mask, attending, W_r=W_r), Q, K, V, W_r)
        weights = jnp.cos(jnp.arange(answers.size, dtype=answers.dtype)).reshape(answers.shape)
        return answers, pull(weights)


CASES = [*(("printed", mask) for mask in MASKS), ("cap", "window"), ("buckets", "window"), ("alibi", "padding")]


@pytest.mark.parametrize(
    ("varied", "mask"),
    [
        pytest.param(*case, marks=pytest.mark.slow if case[0] in ("printed", "buckets") and case[1] != "causal" else ())
        for case in CASES
    ],
)
def test_parts_give_what_all_scores_at_once_give(varied, mask):
    given = MASKS[mask](), VARIED[varied], *arrays()
    dense, *others = (answers_and_gradients(name, *given) for name in ("dense", "rows", "blockwise"))
    for parts in others:
        for a, b in zip(jax.tree.leaves(dense), jax.tree.leaves(parts), strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-13)


@pytest.mark.slow
def test_single_precision_differs_by_rounding():
    given = masks.causal, AS_PRINTED, *arrays(np.float32)
    dense, *others = (answers_and_gradients(name, *given) for name in ("dense", "rows", "blockwise"))
    for parts in others:
        for a, b in zip(jax.tree.leaves(dense), jax.tree.leaves(parts), strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-5)


def test_half_precision_is_summed_in_single():
    Q, K, V, _ = (jnp.asarray(A, jnp.bfloat16) for A in arrays(np.float32))
    wide = (A.astype(jnp.float32) for A in (Q, K, V))
    wide = answers_and_gradients("blockwise", masks.causal, AS_PRINTED, *wide, None)
    half = answers_and_gradients("blockwise", masks.causal, AS_PRINTED, Q, K, V, None)
    assert half[0].dtype == jnp.bfloat16
    # One rounding of each weight and of the answer, 2^-9 each, of values of about 1.
    np.testing.assert_allclose(half[0].astype(np.float32), wide[0], rtol=0, atol=2e-2)


@pytest.mark.parametrize("varied", VARIED)
def test_gradients_against_differences(varied):
    Q, K, V, W_r = arrays()

    def f(Q, K, V, W_r):
        W_r = W_r if varied == "buckets" else None
        with attend_with("blockwise"):
            return attend(Q, K, V, MASKS["window"](), VARIED[varied], W_r=W_r)

    check_grads(f, (Q, K, V, W_r), order=1, modes=["rev"], eps=1e-5)


@pytest.mark.parametrize("implementation", ["rows", "blockwise"])
def test_a_query_that_sees_nothing_has_no_answer(implementation):
    Q, K, V, _ = arrays()
    table = np.ones((L_X, L_Z), bool)
    table[3] = False
    with attend_with(implementation):
        answers = attend(Q, K, V, masks.as_mask(table))
    assert np.isnan(answers[:, :, 3]).all()
    assert not np.isnan(np.delete(answers, 3, axis=2)).any()


@pytest.mark.parametrize("mask", MASKS)
def test_keys_that_quarters_leave_out_are_not_seen(mask):
    seen = np.asarray(masks.dense(MASKS[mask](), L_X, L_Z)).reshape(-1, L_X, L_Z).any(axis=0)
    met = []
    for rows, keys in quarters(MASKS[mask](), L_X, L_Z):
        met += range(rows.first, rows.first + rows.n)
        assert keys.n >= 1
        outside = np.delete(seen[rows.first : rows.first + rows.n], np.s_[keys.first : keys.first + keys.n], axis=1)
        assert not outside.any()
    assert met == list(range(L_X))


def test_quarters_know_what_is_not_traced():
    """A causal mask leaves out 3/8 of the keys, whatever it is combined with; one that is traced leaves out none."""

    def seen(mask):
        return sum(rows.n * keys.n for rows, keys in quarters(mask, 64, 64))

    assert seen(masks.causal) == 64 * 64 * 5 // 8
    assert seen(masks.causal & masks.window(16)) < 64 * 64 // 2
    assert seen(masks.full) == 64 * 64
    traced = []
    jax.make_jaxpr(lambda width: traced.append(seen(masks.causal & masks.window(width))))(16)
    jax.make_jaxpr(lambda width: traced.append(seen(masks.window(width))))(16)
    assert traced == [64 * 64 * 5 // 8, 64 * 64]


@pytest.mark.parametrize("mask", MASKS)
def test_keys_that_are_left_out_are_not_seen(mask):
    seen = np.asarray(masks.dense(MASKS[mask](), L_X, L_Z)).reshape(-1, L_X, L_Z).any(axis=0)
    for first in range(0, L_X, 7):
        last = min(first + 6, L_X - 1)
        begin, end = MASKS[mask]().keys(jnp.asarray(first), jnp.asarray(last), L_Z)
        inside = [j for b, e in zip(begin, end, strict=True) for j in range(b, e)]
        assert not np.delete(seen[first : last + 1], inside, axis=1).any()


def test_a_window_leaves_out_all_that_is_far():
    begin, end = MASKS["window"]().keys(jnp.asarray(20), jnp.asarray(23), L_Z)
    assert (begin.tolist(), end.tolist()) == ([16], [24])
    begin, end = MASKS["segments"]().keys(jnp.asarray(0), jnp.asarray(0), L_Z)
    assert (begin.tolist(), end.tolist()) == ([0], [1])


def _first_keys(t_x, t_z):
    return t_z < 4


FIRST_KEYS = masks.Mask(_first_keys, reach=lambda first, last, l_z: (0, 4))
LAMBDA = masks.causal & (FIRST_KEYS | masks.window(9))


@pytest.mark.parametrize("columns", [1, 3, 4, 16])
def test_blocks_of_several_ranges_are_visited_once_each(columns):
    """The first keys and a window: their blocks, in order, without those between, and none twice."""
    blocks = Blocks(4, columns, 64, 64)
    for i in range(16):
        visits = blocks.visits(LAMBDA, jnp.asarray(i))
        found = [int(visits.block(jnp.asarray(k))) for k in range(int(visits.total))]
        keys = {*range(4), *range(max(4 * i - 8, 0), 4 * i + 4)} & {*range(4 * i + 4)}
        assert found == sorted({j // columns for j in keys})


@pytest.mark.parametrize("mask", MASKS)
def test_sees_is_any_of_the_dense_mask(mask):
    mask = MASKS[mask]() & masks.window(9) & ~masks.window(2)
    np.testing.assert_array_equal(
        jax.jit(lambda m: sees.__wrapped__(m, L_X, L_Z))(mask), masks.dense(mask, L_X, L_Z).any(axis=-1)
    )


@pytest.mark.parametrize(("length", "size"), [(1, 1), (16, 16), (17, 9), (37, 13), (160, 16)])
def test_blocks_are_few_and_even(length, size):
    assert block_size(length) == size


def test_the_choice_is_by_length_and_mask_and_can_be_forced():
    head = formal_tx.init_attention(jax.random.key(0), d_x=4, d_z=4, d_attn=4, d_out=4)

    def scores_of(length, mask=masks.causal, **forced):
        X = jax.ShapeDtypeStruct((length, 4), jnp.float64)
        with attend_with(forced.get("implementation")):
            jaxpr = jax.make_jaxpr(lambda X: formal_tx.attention(X, X, head, mask))(X)
        return f"{length},{length}" in str(jaxpr)

    assert scores_of(64)
    assert not scores_of(512)
    assert scores_of(512, masks.full)
    assert scores_of(512, implementation="dense")
    assert not scores_of(2048, masks.full)
    assert scores_of(2048, implementation="dense")
    assert not scores_of(512, implementation="blockwise")


def test_long_sequences_need_no_square_of_memory():
    head = formal_tx.init_attention(jax.random.key(0), d_x=4, d_z=4, d_attn=4, d_out=4)
    X = jax.ShapeDtypeStruct((1 << 16, 4), jnp.float64)
    mask = masks.causal & masks.window(64)

    def loss(X):
        return formal_tx.attention(X, X, head, mask).sum()

    used = jax.jit(jax.grad(loss)).lower(X).compile().memory_analysis().temp_size_in_bytes
    assert used < 64 * X.size * 8


def test_other_implementations_are_refused():
    with pytest.raises(ValueError, match="implementation is 'flash', expected one of dense, rows, blockwise, cudnn"):
        attend_with("flash")
    Q, K, V, _ = arrays(np.float32)
    with attend_with("cudnn"), pytest.raises(ValueError, match="the dtype is float32, expected float16 or bfloat16"):
        attend(Q, K, V, masks.causal)
    half = [A.astype(jnp.bfloat16) for A in (Q, Q, Q)]
    with attend_with("cudnn"), pytest.raises(ValueError, match="the backend is cpu, expected gpu"):
        attend(*half, masks.full)
    with attend_with("cudnn"), pytest.raises(ValueError, match="scores are changed before the softmax"):
        attend(*half, masks.full, VARIED["cap"])
    with attend_with("cudnn"), pytest.raises(ValueError, match="neither causal nor full"):
        attend(*half, masks.window(3))
