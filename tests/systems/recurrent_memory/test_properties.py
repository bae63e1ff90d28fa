"""Recurrent Memory Transformer: what the papers say of it, and that without a memory it is its backbone."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from formal_tx import DTransformerHyperparameters, ETransformerHyperparameters, masks
from formal_tx.architectures import d_transformer_logits
from formal_tx.long_context.recurrent_memory import (
    init_recurrent_memory,
    memory_mask,
    recur,
    rmt_decoder,
    rmt_decoder_logits,
    rmt_encoder,
)
from formal_tx.mask_blocks import sees
from formal_tx.placement import PRE

WIDTHS = {"l_max": 12, "L": 2, "H": 2, "d_e": 6, "d_mlp": 7, "N_V": 11}
D = DTransformerHyperparameters(**WIDTHS)
E = ETransformerHyperparameters(**WIDTHS)
WITHOUT_POSITIONS = ETransformerHyperparameters(**WIDTHS, table=None, placement=PRE, final_norm=True)
S, M = 4, 2
DECODER, ENCODER = (init_recurrent_memory(jax.random.key(i), hp, M) for i, hp in enumerate((D, E)))

close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)  # float32, where sums have another order


def text(seed, *shape):
    return np.random.default_rng(seed).integers(WIDTHS["N_V"] - 3, size=shape)


def decode(x, params=DECODER, memory=None, **options):
    return rmt_decoder_logits(x, params, D, memory, **{"segment": S} | options)


def encode(x, params=ENCODER, memory=None, hp=E, **options):
    return rmt_encoder(x, params, hp, memory, **{"segment": S} | options)


# Degenerate cases


def test_without_a_memory_segments_are_read_one_by_one():
    params, x = init_recurrent_memory(jax.random.key(2), D, 0), text(0, 3, 12)
    logits, memory = decode(x, params)
    assert memory.shape == (3, 0, 6)
    alone = [d_transformer_logits(x[:, i : i + S], params.backbone, D) for i in (0, 4, 8)]
    close(logits, jnp.concatenate(alone, axis=1))


def test_without_a_memory_an_encoder_reads_segments_one_by_one():
    params, x = init_recurrent_memory(jax.random.key(2), E, 0), text(0, 8)
    encoded = encode(x, params)
    assert encoded.M.shape == (0, 6)
    close(encoded.Y[4:], encode(x[4:], params).Y)
    close(encoded.cls, encode(x[4:], params).cls)


def test_a_segment_is_a_pass_of_the_backbone_over_rows():
    """A decoder whose vocabulary has two tokens more, with the rows of M_0 for embeddings, makes the same logits."""
    x = text(0, S)
    hp = DTransformerHyperparameters(**WIDTHS | {"N_V": 13})
    W_e = jnp.concatenate([DECODER.backbone.W_e, DECODER.M_0])
    W_u = jnp.concatenate([DECODER.backbone.W_u, DECODER.M_0])
    rows = np.concatenate([[11, 12], x, [11, 12]])
    expected = d_transformer_logits(rows, DECODER.backbone.replace(W_e=W_e, W_u=W_u), hp)[M : M + S, :11]
    close(decode(x)[0], expected)


def test_what_is_written_is_not_seen_by_tokens():
    """Tokens of one segment depend on the memory that is read alone; the mask says so for the memory behind them."""
    for both_ways in (False, True):
        table = np.asarray(masks.dense(memory_mask(M, S, both_ways), 2 * M + S, 2 * M + S))
        assert not table[: M + S, M + S :].any()
        assert table[M + S :, : M + S].all()


@pytest.mark.parametrize(("m", "s"), [(3, 5), (1, 1), (0, 4), (600, 30)])
def test_the_blocks_of_the_mask_hold_all_that_it_shows(m, s):
    """`reach` leaves no key out: counted in blocks, and densely."""
    mask, l = memory_mask(m, s, True), 2 * m + s
    table = np.asarray(masks.dense(mask, l, l))
    for first, last in ((0, 0), (0, l - 1), (l // 2, l - 1), (l - 1, l - 1)):
        begin, end = mask.keys(jnp.asarray(first), jnp.asarray(last), l)
        seen = np.flatnonzero(table[first : last + 1].any(axis=0))
        assert begin.min() <= seen.min()
        assert end.max() > seen.max()
    assert sees(mask, l, l).all()


def test_rows_of_a_memory_see_each_other_if_asked():
    x = text(0, 8)
    assert np.abs(decode(x, mem_bidirectional=True)[0] - decode(x)[0]).max() > 1e-5
    table = np.asarray(masks.dense(memory_mask(M, S, True), 8, 8))
    assert table[0, 1]
    assert table[6, 7]


# Recurrence


def test_a_later_token_changes_nothing_before_it():
    x = text(0, 2, 12)
    other = x.copy()
    other[:, 6:] = (x[:, 6:] + 1) % 8
    found, expected = decode(other)[0], decode(x)[0]
    assert (found[:, :6] == expected[:, :6]).all()
    assert (found[:, 6:] != expected[:, 6:]).any(axis=-1).all()


def test_an_earlier_segment_is_remembered():
    x = text(0, 12)
    other = x.copy()
    other[0] = (x[0] + 1) % 8
    assert (np.abs(decode(other)[0] - decode(x)[0])[8:] > 0).any(axis=-1).all()
    assert np.abs(encode(other).cls - encode(x).cls).max() > 1e-6
    forgetful = init_recurrent_memory(jax.random.key(2), D, 0)
    assert (decode(other, forgetful)[0] == decode(x, forgetful)[0])[4:].all()


@pytest.mark.parametrize("read", [decode, encode], ids=["decoder", "encoder"])
def test_a_text_may_be_read_in_several_calls(read):
    x = text(0, 3, 12)
    whole, first = read(x), read(x[:, :8])
    second = read(x[:, 8:], memory=first[-1])
    close(second[-1], whole[-1])
    if read is encode:
        close(second.cls, whole.cls)
    tokens = 1 if read is encode else 0
    close(jnp.concatenate([first[tokens], second[tokens]], axis=1), whole[tokens])


@pytest.mark.parametrize("remat", [True, False])
def test_the_scan_is_a_loop(remat):
    x, memory, logits = text(0, 2, 12), None, []
    for i in (0, 4, 8):
        one, memory = decode(x[:, i : i + S], memory=memory)
        logits.append(one)
    found, found_memory = decode(x, remat=remat)
    close(found, jnp.concatenate(logits, axis=1))
    close(found_memory, memory)


def test_rows_of_a_memory_are_alike_without_positions(x64):
    """Permuting the rows of M_0 permutes the memory, and changes nothing else."""
    hp, x = WITHOUT_POSITIONS, text(0, 8)
    params = init_recurrent_memory(jax.random.key(3), hp, 3)
    order = np.array([2, 0, 1])
    found, expected = encode(x, params.replace(M_0=params.M_0[order]), hp=hp), encode(x, params, hp=hp)
    np.testing.assert_allclose(found.M, expected.M[order], rtol=1e-12)
    np.testing.assert_allclose(found.Y, expected.Y, rtol=1e-12)
    alike = encode(x, params.replace(M_0=params.M_0[np.zeros(3, int)]), hp=hp).M
    np.testing.assert_allclose(alike, alike[np.zeros(3, int)], rtol=1e-12)


def test_rows_of_a_memory_begin_unlike_and_as_spread_as_embeddings():
    params = init_recurrent_memory(jax.random.key(0), ETransformerHyperparameters(**WIDTHS | {"d_e": 64}), 50)
    assert np.std(params.M_0) == pytest.approx(float(np.std(params.backbone.W_e)), rel=0.1)  # 3,200 draws
    assert len(np.unique(params.M_0[:, 0])) == 50


# Gradients


def gradient_of_embeddings(bptt, loss_of=-1, n=4, remat=True):
    """The gradient of the loss of a segment for the embeddings of each of n · S tokens, (n, S, d_e)."""
    hp = DTransformerHyperparameters(**WIDTHS | {"N_V": n * S})
    params = init_recurrent_memory(jax.random.key(4), hp, M)

    def loss(W_e):
        backbone = params.backbone.replace(W_e=W_e)
        x = np.arange(n * S)
        options = {"segment": S, "bptt": bptt, "remat": remat}
        logits, _ = rmt_decoder_logits(x, params.replace(backbone=backbone), hp, **options)
        return jnp.sum(logits.reshape(n, S, -1)[loss_of] ** 2)

    return jax.grad(loss)(params.backbone.W_e).reshape(n, S, -1)


@pytest.mark.parametrize("bptt", [0, 1, 2, 3, 9, None])
def test_gradients_pass_so_many_borders(bptt):
    gradient = jnp.abs(gradient_of_embeddings(bptt)).max(axis=-1)
    passed = 4 if bptt is None else min(bptt + 1, 4)
    assert (gradient[4 - passed :] > 0).all()
    assert (gradient[: 4 - passed] == 0).all()


def test_gradients_pass_the_last_borders_alone():
    """With one border of three, the loss of the third segment does not reach the second."""
    gradient = jnp.abs(gradient_of_embeddings(1, loss_of=2)).max(axis=-1)
    assert (gradient[2] > 0).all()
    assert (gradient[:2] == 0).all()


def test_truncation_changes_gradients_and_no_value():
    x = text(0, 16)
    assert (decode(x, bptt=0)[0] == decode(x)[0]).all()
    close(gradient_of_embeddings(3), gradient_of_embeddings(None))
    assert np.abs(gradient_of_embeddings(1) - gradient_of_embeddings(2)).max() > 1e-6


def test_the_first_memory_is_learnt_whatever_is_truncated():
    def loss(params, bptt):
        return jnp.sum(decode(text(0, 12), params, bptt=bptt)[0] ** 2)

    for bptt in (0, None):
        assert (jnp.abs(jax.grad(loss)(DECODER, bptt).M_0) > 0).all()


def test_recomputation_changes_no_gradient():
    close(gradient_of_embeddings(None, remat=False), gradient_of_embeddings(None, remat=True))


def test_every_parameter_has_a_gradient():
    x = text(0, 2, 12)

    def loss(params):
        return jnp.mean(jax.nn.logsumexp(decode(x, params)[0], axis=-1) - decode(x, params)[0][..., 0])

    for path, gradient in jax.tree_util.tree_leaves_with_path(jax.grad(loss)(DECODER)):
        name = jax.tree_util.keystr(path)
        assert np.isfinite(gradient).all(), name
        assert "b_k" in name or (np.abs(gradient) > 0).any(), name  # the softmax does not know a bias of all keys


def test_gradients_of_the_recurrence(x64):
    """Of a memory that turns, beside differences."""
    W = jax.random.normal(jax.random.key(0), (3, 3))

    def f(M, W, x):
        return recur(lambda M, x: (jnp.tanh(M @ W + x), M.sum()), M, x)

    check_grads(
        f, (jax.random.normal(jax.random.key(1), (2, 3)), W, jax.random.normal(jax.random.key(2), (4, 2, 3))), 1
    )


# Batches, memory, compilation


def test_a_batch_is_its_sequences():
    x = text(0, 2, 3, 8)
    together, memory = decode(x)
    mapped, mapped_memory = jax.vmap(jax.vmap(decode))(x)
    close(mapped, together)
    close(mapped_memory, memory)
    close(decode(x[1, 2])[0], together[1, 2])
    close(encode(x[1, 2]).cls, encode(x).cls[1, 2])


def temporary_bytes(n, remat):
    """What a compiled gradient keeps beside its arguments and results, for a text of n segments."""

    def loss(params, x):
        return jnp.sum(rmt_encoder(x, params, E, segment=S, remat=remat).cls ** 2)

    compiled = jax.jit(jax.grad(loss)).lower(ENCODER, jnp.zeros((32, n * S), int)).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.slow
def test_the_memory_of_training_is_that_of_one_segment():
    """Four times the segments keep four times the memories that are carried, which are few, and no more."""
    few, many = temporary_bytes(8, True), temporary_bytes(32, True)
    carried = 32 * M * E.d_e * 4
    tokens = 32 * S * 8  # x, laid out by segments, and a copy of that
    assert many - few <= 24 * (3 * carried + 2 * tokens)
    assert temporary_bytes(32, False) > 2 * temporary_bytes(8, False)
    assert many < temporary_bytes(32, False) / 4


@pytest.mark.parametrize("read", [decode, encode], ids=["decoder", "encoder"])
def test_it_lowers_for_every_platform(read):
    platforms = ["cpu", "cuda", "tpu"]
    params = DECODER if read is decode else ENCODER
    gradient = jax.grad(lambda params, x: read(x, params, bptt=1)[0].sum())
    for f in (lambda params, x: read(x, params), gradient):
        exported = jax.export.export(jax.jit(f), platforms=platforms)(params, jnp.asarray(text(0, 2, 8)))
        assert set(exported.platforms) == set(platforms)


def test_more_segments_are_no_longer_program():
    def size(n):
        return len(jax.jit(decode).lower(jnp.asarray(text(0, n * S))).as_text().splitlines())

    assert size(2) == size(50)


def test_a_text_that_goes_on_is_compiled_once():
    compiled, memory = [], DECODER.M_0

    @jax.jit
    def read(x, memory):
        compiled.append(1)
        return decode(x, memory=memory)

    for i in range(4):
        _, memory = read(text(i, S), memory)
    assert len(compiled) == 1


def test_probabilities_are_those_of_the_logits():
    x = text(0, 2, 8)
    P, memory = rmt_decoder(x, DECODER, D, segment=S)
    logits, expected = decode(x)
    close(P, jax.nn.softmax(logits))
    assert (memory == expected).all()
