"""MEGABYTE: what its two shifts must and must not let through, and what it is with patches of one byte or of all."""

from dataclasses import replace
from functools import cache
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from formal_tx import DTransformerHyperparameters, DTransformerParameters, d_transformer_logits, masks
from formal_tx.architectures import d_layers, self_attend
from formal_tx.inference import filters
from formal_tx.long_context.megabyte import (
    MegabyteHyperparameters,
    bits_per_byte,
    decoder_stack,
    init_megabyte,
    megabyte,
    megabyte_logits,
)
from formal_tx.long_context.megabyte_generation import megabyte_inference

HP = MegabyteHyperparameters(N_V=11, T_max=12, P=3, D_G=4, D_L=6, L_G=2, L_L=1, H_G=2, H_L=2, d_mlp_G=7, d_mlp_L=5)
KEY = jax.random.key(5)
ROUNDING = 1e-13  # of float64, for sums of a few dozen numbers of size 1


def model(hp=HP, seed=0):
    """Parameters whose distributions are far from uniform, and none of which is 0."""
    return _model(hp, seed, jax.config.jax_enable_x64)


@cache
def _model(hp, seed, x64):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda W: W + jnp.asarray(0.3 * rng.standard_normal(W.shape), W.dtype), init_megabyte(jax.random.key(seed), hp)
    )


def text(T, hp=HP, seed=0):
    return np.random.default_rng(seed).integers(hp.N_V, size=T)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=ROUNDING)


def test_the_probabilities_of_all_texts_sum_to_one(x64):
    """Each of the two shifts that were forgotten, and each that is made twice, would make another sum of it."""
    hp = replace(HP, N_V=2, T_max=4, P=2)
    texts = np.array(list(product(range(2), repeat=4)))
    p = np.asarray(megabyte(texts, model(hp), hp))
    of_text = np.take_along_axis(p, texts[..., None], axis=-1)[..., 0].prod(axis=-1)
    assert of_text.max() > 2 * of_text.min()  # the texts are not all equally likely
    close(of_text.sum(), 1)


@pytest.mark.parametrize("s", range(12))
def test_a_byte_changes_what_follows_it_and_not_one_bit_before(s):
    params, x = model(), text(12)
    changed = x.copy()
    changed[s] = (x[s] + 1) % HP.N_V
    before, then = (np.asarray(megabyte_logits(ids, params, HP)) for ids in (x, changed))
    assert (before[: s + 1] == then[: s + 1]).all()
    assert (before[s + 1 : s + 2] != then[s + 1 : s + 2]).any() or s == 11


def test_patches_of_one_byte_are_a_decoder_and_a_head(x64):
    """Its vocabulary has one token more, with which every text begins, and that has no position."""
    hp = replace(HP, P=1, D_G=8)
    params, x = model(hp), text(12)
    W_e, W_p = jnp.concatenate([params.E_G, params.pad_G]), jnp.pad(params.Pos_G[:-1], ((1, 0), (0, 0)))
    of_global = params.global_stack
    theta = DTransformerParameters(W_e, W_p, of_global.layers, of_global.gamma, of_global.beta, None)
    plain = DTransformerHyperparameters(l_max=12, L=2, H=2, d_e=8, d_mlp=7, N_V=12, tied_embeddings=True)
    X, _ = d_layers(jnp.array([hp.N_V, *x[:-1]]), theta, plain, self_attend(masks.causal))
    L_in = X @ params.W_GL.T + params.pad_L[None]
    L_out = decoder_stack(L_in[:, None], params.local_stack, hp.local_stack)[:, 0]
    close(megabyte_logits(x, params, hp), L_out @ params.E_L.T)


def test_one_patch_is_a_decoder_whose_positions_the_global_stack_makes(x64):
    hp = replace(HP, P=12)
    params, x = model(hp), text(12)
    G_out = decoder_stack(params.pad_G.reshape(1, -1), params.global_stack, hp.global_stack)
    W_p = G_out.reshape(12, hp.D_G) @ params.W_GL.T
    W_e, of_local = jnp.concatenate([params.E_L, params.pad_L[None]]), params.local_stack
    theta = DTransformerParameters(W_e, W_p, of_local.layers, of_local.gamma, of_local.beta, None)
    plain = DTransformerHyperparameters(l_max=12, L=1, H=2, d_e=6, d_mlp=5, N_V=12, tied_embeddings=True)
    expected = d_transformer_logits(np.array([hp.N_V, *x[:-1]]), theta, plain)[:, : hp.N_V]
    close(megabyte_logits(x, params, hp), expected)


def test_without_the_way_down_patches_know_nothing_of_each_other(x64):
    params = model().replace(W_GL=jnp.zeros((HP.D_L, HP.D_G)))
    x = text(12)
    together = megabyte_logits(x, params, HP)
    apart = [megabyte_logits(x[t : t + 3], params, HP) for t in range(0, 12, 3)]
    close(together, np.concatenate(apart))


def test_every_slot_has_a_context_of_its_own():
    """L_ctx is a slice of the global row, not one vector for all slots."""
    same = text(12) * 0
    slots = np.asarray(megabyte_logits(same, model().replace(E_L=jnp.ones((HP.N_V, HP.D_L))), HP))
    assert not np.allclose(slots[1], slots[2])


def test_the_padding_does_not_matter(x64):
    params, x = model(), text(10)
    padded = [np.concatenate([x, filler]) for filler in ([0, 0], [10, 7], [99, -5])]
    found = [megabyte_logits(ids, params, HP, lengths=np.array(10))[:10] for ids in padded]
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()
    close(found[0], megabyte_logits(padded[0], params, HP)[:10])
    loss = bits_per_byte(params, padded[2], HP, lengths=np.array(10))
    close(loss, -np.log2(np.take_along_axis(jax.nn.softmax(found[0]), x[:, None], 1)).mean())


def test_the_loss_counts_the_first_byte():
    params, x = model(), text(3)
    p = np.asarray(megabyte(x, params, HP))
    np.testing.assert_allclose(bits_per_byte(params, x, HP), -np.log2(p[np.arange(3), x]).mean(), rtol=1e-6)


@pytest.mark.parametrize("l", [0, 4])
def test_what_is_generated_is_what_the_whole_text_says(x64, l):
    """Greedy bytes are the likeliest ones by the logits of the whole text, of which nothing is cached."""
    params, x = model(), text(l)
    greedy = {"filters": filters.greedy(), "key": KEY}
    y = megabyte_inference(x, params, HP, length=12 - l, **greedy)
    logits = megabyte_logits(np.array([*x, *y]), params, HP)
    assert (np.argmax(logits, axis=-1)[l:] == y).all()
    assert len(set(np.asarray(y).tolist())) > 1


def test_to_generate_more_is_to_go_on(x64):
    params, x = model(), text(4)
    five = megabyte_inference(x, params, HP, length=5, key=KEY)
    two = megabyte_inference(x, params, HP, length=2, key=KEY)
    assert (two == five[:2]).all()
    assert (megabyte_inference(np.array([*x, *two]), params, HP, length=3, key=KEY) == five[2:]).all()


def test_a_filter_knows_the_bytes_of_the_prompt():
    def unseen(logits, seen):
        return jnp.where(seen, -jnp.inf, logits)

    x = np.arange(5)
    y = megabyte_inference(x, model(), HP, length=6, key=KEY, filters=filters.Filter(unseen))
    assert sorted([*x, *np.asarray(y)]) == list(range(11))


def test_a_batch_is_vmap_is_a_loop(x64):
    params, x = model(), np.stack([text(6, seed=i) for i in range(4)]).reshape(2, 2, 6)
    together = megabyte_logits(x, params, HP)
    close(together, jax.vmap(jax.vmap(lambda x: megabyte_logits(x, params, HP)))(x))
    close(together[1, 0], megabyte_logits(x[1, 0], params, HP))
    keys = jax.random.split(KEY, (2, 2))
    y = megabyte_inference(x, params, HP, length=4, key=keys)
    assert y.shape == (2, 2, 4)
    assert (y[1, 0] == megabyte_inference(x[1, 0], params, HP, length=4, key=keys[1, 0])).all()


def test_gradients(x64):
    params, x = model(), text(6)
    check_grads(lambda params: bits_per_byte(params, x, HP), (params,), order=1, modes=["rev"])
    gradient = jax.grad(bits_per_byte)(params, x, HP)
    # The score of a key changes nothing if all keys of a query have it: these have a gradient of 0 by their nature.
    zero = {jax.tree_util.keystr(k) for k, g in jax.tree_util.tree_leaves_with_path(gradient) if abs(g).max() < 1e-12}
    assert all(name.endswith(".b_k") for name in zero), zero


@pytest.mark.parametrize("x64_on", [False, True], ids=["float32", "float64"])
def test_it_lowers_for_every_platform(x64_on):
    with jax.enable_x64(x64_on):
        params, x = jax.tree.map(jnp.asarray, model()), jnp.asarray(text(6))
        for f in (megabyte, lambda x, params, hp: megabyte_inference(x, params, hp, length=4, key=jax.random.key(0))):
            exported = jax.export.export(
                jax.jit(lambda x, params, f=f: f(x, params, HP)), platforms=["cpu", "cuda", "tpu"]
            )
            assert exported(x, params).platforms == ("cpu", "cuda", "tpu")


def test_another_text_compiles_nothing_anew(caplog):
    params = model()

    def run(seed):
        megabyte_logits(text(6, seed=seed), params, HP)
        megabyte_inference(text(6, seed=seed), params, HP, length=4, key=jax.random.key(seed))

    run(0)
    with jax.log_compiles():
        run(1)
    assert "Compiling" not in caplog.text


def test_traced_bytes_out_of_range_give_nan():
    params = model()
    logits = jax.jit(lambda x: megabyte_logits(x, params, HP))(np.array([0, 1, 2, 3, 99, 5]))
    assert np.isnan(logits[5]).all()


def test_bytes_of_eight_bits_are_bytes():
    hp = replace(HP, N_V=256)
    x = np.frombuffer(b"in the begin", np.uint8)
    params = model(hp)
    assert (megabyte_logits(x, params, hp) == megabyte_logits(x.astype(int), params, hp)).all()
