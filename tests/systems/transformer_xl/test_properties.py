"""Transformer-XL: what the paper says of it, and that it is Algorithm 10 where nothing is remembered."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from formal_tx import masks, mh_attention
from formal_tx.architectures import d_layers, logits_of, self_attend
from formal_tx.implementation import attend_with
from formal_tx.initialization import init_mh_attention
from formal_tx.long_context.relative_attention import (
    by_distance,
    relative_attention,
    relative_shift,
)
from formal_tx.long_context.transformer_xl import (
    Memory,
    empty_memory,
    init_transformer_xl,
    transformer_xl,
    transformer_xl_logits,
    xl_hyperparameters,
)
from formal_tx.placement import PRE

WIDTHS = {"l_max": 64, "L": 3, "H": 2, "d_e": 6, "d_attn": 4, "d_mid": 3, "d_mlp": 7, "N_V": 11}
POST_HP = xl_hyperparameters(**WIDTHS)
PRE_HP = xl_hyperparameters(**WIDTHS, placement=PRE, final_norm=True)
BOTH = pytest.mark.parametrize("hp", [POST_HP, PRE_HP], ids=["norms after", "norms before"])

close = partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-12)  # float64: what sums in another order differ by


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def random_params(hp, seed=0):
    """Parameters of which none is near 0, u and v included."""
    params = init_transformer_xl(jax.random.key(seed), hp)
    return params.replace(u=normal(seed + 1, *params.u.shape), v=normal(seed + 2, *params.v.shape))


def text(seed, *shape, N_V=WIDTHS["N_V"]):
    return np.random.default_rng(seed).integers(N_V, size=shape)


def one_head_set(d=6, H=2):
    params = init_mh_attention(jax.random.key(3), d_x=d, d_z=d, d_attn=4, d_mid=3, d_out=5, H=H)
    return params, normal(4, H, 4), normal(5, H, 4), normal(6, H, 4, d)


# The shift


@pytest.mark.parametrize(("q", "k"), [(1, 5), (4, 4), (4, 9)])
def test_the_shift_is_the_double_loop_and_the_gather(x64, q, k):
    B = normal(0, 2, q, k)
    shifted = relative_shift(B)
    gathered = by_distance(B, jnp.arange(q), jnp.arange(k) - (k - q))
    for i in range(q):
        for j in range(i + k - q + 1):  # the keys that the query may see
            expected = B[:, i, k - 1 - (i + k - q - j)]
            assert (shifted[:, i, j] == expected).all()
            assert (gathered[:, i, j] == expected).all()


@pytest.mark.parametrize(("implementation", "q", "m"), [("rows", 7, 13), ("rows", 520, 30), ("blockwise", 520, 30)])
def test_every_implementation_of_attention_computes_the_same(x64, implementation, q, m):
    """520 queries are two blocks: neither of them has all scores at once, so that they gather."""
    X, M = normal(0, q, 6), normal(1, m, 6)
    params, *bias = one_head_set()
    run = partial(relative_attention, X, M, params, *bias, clamp_len=9, window=200)
    with attend_with("dense"):
        expected = run()
    with attend_with(implementation):
        close(run(), expected)


def test_their_gradients_are_the_same(x64):
    X, M = normal(0, 530, 6), normal(1, 20, 6)
    params, *bias = one_head_set()

    def loss(arguments, implementation):
        with attend_with(implementation):
            return jnp.sum(relative_attention(X, M, *arguments) ** 2)

    both = (jax.grad(loss)((params, *bias), implementation) for implementation in ("dense", "blockwise"))
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-8, atol=1e-9), *both
    )  # sums over 530 queries; of b_k it is 0


# Degenerate cases


def test_without_positions_and_memory_it_is_causal_attention(x64):
    X = normal(0, 2, 7, 6)
    params, u, v, W_r = one_head_set()
    found = relative_attention(X, X[:, :0], params, 0 * u, v, 0 * W_r)
    close(found, mh_attention(X, X, params, masks.causal))


def test_without_positions_it_is_algorithm_10(x64):
    hp = POST_HP
    params, x = random_params(hp), text(0, 2, 12)
    params = params.replace(u=0 * params.u, v=0 * params.v, W_r=0 * params.W_r)
    found, _ = transformer_xl_logits(x, params, hp, segment=12, mem_len=0)
    H, _ = d_layers(jnp.asarray(x), params.decoder, hp, self_attend(masks.causal))
    close(found, logits_of(H, params.decoder, hp))


@BOTH
def test_segments_with_a_memory_of_everything_are_one_segment(x64, hp):
    params, x = random_params(hp), text(0, 2, 20)
    whole, _ = transformer_xl_logits(x, params, hp, segment=20, mem_len=0)
    for segment in (1, 5):
        found, memory = transformer_xl_logits(x, params, hp, segment=segment, mem_len=20)
        close(found, whole)
        assert memory.length == 20


def test_a_window_or_a_clamp_that_is_not_reached_changes_nothing(x64):
    X, M = normal(0, 5, 6), normal(1, 8, 6)
    params, *bias = one_head_set()
    plain = relative_attention(X, M, params, *bias)
    close(relative_attention(X, M, params, *bias, window=13), plain)
    close(relative_attention(X, M, params, *bias, clamp_len=12), plain)
    assert np.abs(relative_attention(X, M, params, *bias, window=12)[-1] - plain[-1]).max() > 1e-3
    assert np.abs(relative_attention(X, M, params, *bias, clamp_len=11)[-1] - plain[-1]).max() > 1e-6


# Recurrence


def not_before(t_x, t_z, segment, mem_len):
    return (t_z <= t_x) & (t_z >= t_x // segment * segment - mem_len)


@pytest.mark.parametrize(("hp", "mem_len"), [(POST_HP, 3), (PRE_HP, 7)], ids=["norms after", "norms before"])
def test_a_finite_memory_is_a_mask_in_every_layer(x64, hp, mem_len):
    """One run over all tokens, in which a layer's query sees its segment and mem_len tokens before it."""
    segment, params, x = 5, random_params(hp), text(0, 2, 20)
    found, _ = transformer_xl_logits(x, params, hp, segment=segment, mem_len=mem_len)
    see = masks.Mask(not_before, (jnp.asarray(segment), jnp.asarray(mem_len)))

    def attend(X, W, W_r, window):
        """Written out: the relative scores of a whole text, with the segments' mask."""
        d_attn = W.heads.W_q.shape[1]
        Q, K, V = (jnp.einsum("hed,...td->...hte", A, X) for A in (W.heads.W_q, W.heads.W_k, W.heads.W_v))
        t = jnp.arange(20.0)
        omega = 10000.0 ** (-jnp.arange(hp.d_e // 2) / (hp.d_e // 2))
        angle = (t[:, None] - t[None, :])[..., None] * omega[None, None]
        R = jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)
        A = jnp.einsum("...hie,...hje->...hij", Q + params.u[None, :, None], K)
        B = jnp.einsum("...hie,hed,ijd->...hij", Q + params.v[None, :, None], W_r, R)
        weights = jax.nn.softmax(jnp.where(masks.dense(see, 20, 20)[None, None], (A + B) / d_attn**0.5, -jnp.inf))
        Y = jnp.einsum("...hij,...hje->...ihe", weights, V)
        return Y.reshape(*Y.shape[:-2], -1) @ W.W_o.T, None

    H, _ = d_layers(jnp.asarray(x), params.decoder, hp, attend, states=params.W_r)
    close(found, logits_of(H, params.decoder, hp))


@pytest.mark.parametrize(("hp", "same_length"), [(POST_HP, True), (PRE_HP, False)], ids=["after", "before"])
def test_a_text_may_be_read_in_several_calls(x64, hp, same_length):
    params, x = random_params(hp), text(0, 3, 20)
    run = partial(transformer_xl_logits, params=params, hyperparameters=hp, mem_len=7, same_length=same_length)
    whole, after_all = run(x, segment=5)
    first, memory = run(x[:, :10], segment=5)
    second, memory = run(x[:, 10:], memory=memory, segment=5)
    close(jnp.concatenate([first, second], axis=1), whole)
    close(memory.M, after_all.M)
    assert memory.length == after_all.length == 7


def test_the_memory_holds_the_last_inputs_of_each_layer(x64):
    params, x = random_params(POST_HP), text(0, 10)
    _, memory = transformer_xl(x, params, POST_HP, segment=5, mem_len=3)
    assert memory.M.shape == (3, 3, 6)
    close(memory.M[0], 6**0.5 * params.decoder.W_e[x[-3:]])
    _, memory = transformer_xl(x, params, POST_HP, segment=5, mem_len=16)
    assert memory.length == 10
    assert (memory.M[:, :6] == 0).all()


def test_a_later_token_changes_nothing_before_it(x64):
    hp = POST_HP
    params, x = random_params(hp), text(0, 20)
    run = partial(transformer_xl_logits, params=params, hyperparameters=hp, segment=5, mem_len=6)
    other = x.copy()
    other[12:] = (x[12:] + 1) % hp.N_V
    found, expected = run(other)[0], run(x)[0]
    assert (found[:12] == expected[:12]).all()
    assert (found[12:] != expected[12:]).any(axis=-1).all()


def test_the_past_is_seen_as_far_as_layers_remember():
    """A token reaches back layers × mem_len tokens from the beginning of its segment, and no further."""
    params, x = random_params(POST_HP), text(0, 40)
    run = partial(transformer_xl_logits, params=params, hyperparameters=POST_HP, segment=2, mem_len=2)
    expected = run(x)[0]

    def changes(t):
        other = x.copy()
        other[t] = (x[t] + 1) % POST_HP.N_V
        return bool((run(other)[0][30] != expected[30]).any())  # the first token of its segment

    reach = WIDTHS["L"] * 2
    assert changes(30 - reach)
    assert not changes(30 - reach - 1)


def test_nothing_is_learnt_through_the_memory(x64):
    params, x = random_params(POST_HP), text(0, 10)

    def loss(embedded, of):
        """The loss of the second segment; embeddings of each position of its own, to differentiate by."""
        decoder = params.decoder.replace(W_e=embedded)
        logits, _ = transformer_xl_logits(np.arange(10), params.replace(decoder=decoder), POST_HP, segment=5, mem_len=5)
        return jnp.sum(logits[of] ** 2)

    W_e = jnp.concatenate([params.decoder.W_e[x], params.decoder.W_e[:1]])
    gradient = jax.grad(loss)(W_e, slice(5, 10))
    assert (gradient[:5] == 0).all()
    assert (jnp.abs(gradient[5:10]).max(axis=-1) > 0).all()
    assert (jnp.abs(jax.grad(loss)(W_e, slice(0, 5))[:5]).max(axis=-1) > 0).all()
    assert jnp.abs(loss(W_e, slice(5, 10)) - loss(W_e.at[2].add(1), slice(5, 10))) > 1e-3  # it is seen all the same


def test_a_query_sees_as_many_tokens_as_any_other(x64):
    """With `same_length`, a text moved along by a token has the same answers, one later."""
    params, x = random_params(POST_HP), text(0, 41)
    run = partial(transformer_xl_logits, params=params, hyperparameters=POST_HP, mem_len=4, same_length=True)
    found, moved = run(x[:40], segment=5)[0], run(x[1:41], segment=5)[0]
    settled = WIDTHS["L"] * 4  # from here on no token knows where the text began
    close(found[settled + 1 :], moved[settled:-1])
    found, moved = (run(part, segment=5, same_length=False)[0] for part in (x[:40], x[1:41]))
    assert np.abs(found[settled + 1 :] - moved[settled:-1]).max() > 1e-3


def test_only_distances_count(x64):
    """What stands before the window, and how much of it, changes nothing."""
    X, M = normal(0, 5, 6), normal(1, 30, 6)
    params, *bias = one_head_set()
    run = partial(relative_attention, X, params=params, u=bias[0], v=bias[1], W_r=bias[2], window=6)
    close(run(M=M), run(M=M[-5:]))


# Batches, gradients, compilation


def test_a_batch_is_its_sequences(x64):
    hp = POST_HP
    params, x = random_params(hp), text(0, 2, 3, 10)
    run = partial(transformer_xl_logits, params=params, hyperparameters=hp, segment=5, mem_len=3)
    together, memory = run(x)
    mapped, mapped_memory = jax.vmap(jax.vmap(run))(x)
    close(mapped, together)
    close(jnp.moveaxis(mapped_memory.M, (0, 1, 2), (1, 2, 0)), memory.M)
    for index in np.ndindex(2, 3):
        close(run(x[index])[0], together[index])


def test_gradients(x64):
    X, M = normal(0, 2, 3, 6), normal(1, 2, 4, 6)
    params, *bias = one_head_set()
    check_grads(lambda X, *rest: relative_attention(X, M, *rest, clamp_len=2), (X, params, *bias), order=1, eps=1e-5)


def test_every_parameter_has_a_gradient(x64):
    hp = PRE_HP
    params, x = random_params(hp), text(0, 2, 20)

    def loss(params):
        logits, _ = transformer_xl_logits(x, params, hp, segment=5, mem_len=4)
        return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - logits[..., 0])

    for path, gradient in jax.tree_util.tree_leaves_with_path(jax.grad(loss)(params)):
        name = jax.tree_util.keystr(path)
        assert np.isfinite(gradient).all(), name
        assert (np.abs(gradient) > 0).any(), name


@pytest.mark.parametrize("differentiated", [False, True])
def test_it_lowers_for_every_platform(differentiated):
    params, memory = random_params(POST_HP), empty_memory((2,), POST_HP, 4)

    def run(x, params, memory):
        return transformer_xl_logits(x, params, POST_HP, memory, segment=5, mem_len=4, same_length=True)

    f = jax.grad(lambda params, x, memory: run(x, params, memory)[0].sum()) if differentiated else run
    arguments = (params, text(0, 2, 10), memory) if differentiated else (text(0, 2, 10), params, memory)
    platforms = ["cpu", "cuda", "tpu"]
    exported = jax.export.export(jax.jit(f), platforms=platforms)(*jax.tree.map(jnp.asarray, arguments))
    assert set(exported.platforms) == set(platforms)


def test_more_segments_are_no_longer_program():
    params = random_params(POST_HP)

    def size(n):
        run = partial(transformer_xl_logits, params=params, hyperparameters=POST_HP, segment=4, mem_len=4)
        return len(jax.jit(run).lower(text(0, 4 * n)).as_text().splitlines())

    assert size(2) == size(50)


def test_a_text_that_goes_on_is_compiled_once():
    params, memory, compiled = random_params(POST_HP), empty_memory((), POST_HP, 4), []

    @jax.jit
    def traced(x, memory):
        compiled.append(1)
        return transformer_xl(x, params, POST_HP, memory, segment=5, mem_len=4)

    for i in range(4):
        _, memory = traced(text(i, 5), memory)
    assert len(compiled) == 1
    assert isinstance(memory, Memory)
    assert memory.length == 4


def test_probabilities_are_those_of_the_logits(x64):
    params, x = random_params(PRE_HP), text(0, 10)
    P, _ = transformer_xl(x, params, PRE_HP, segment=5, mem_len=4)
    close(P, jax.nn.softmax(transformer_xl_logits(x, params, PRE_HP, segment=5, mem_len=4)[0]))
    close(P.sum(axis=-1), 1)
