"""Hierarchical attention: padding does not matter, weights are weights, and the units alone see order."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from formal_tx.heads import classification_logits
from formal_tx.long_context.gru import BidirectionalGRUParameters, bidirectional_gru, gru, init_gru
from formal_tx.long_context.hierarchical_attention import (
    attention_pooling,
    attention_weights,
    hierarchical_attention,
    hierarchical_attention_loss,
    init_hierarchical_attention,
)

SIZES = {"N_V": 13, "e": 3, "h": 2, "a": 4, "C": 3}
ROUNDING = 1e-13  # of float64, for sums of a few numbers of size 1
DOCUMENT = np.array([[3, 7, 1, 0], [5, 0, 0, 0], [2, 2, 9, 12]])


def model(seed=0):
    """Parameters none of which is 0."""
    return _model(seed, jax.config.jax_enable_x64)


@cache
def _model(seed, x64):
    rng = np.random.default_rng(seed)
    params = init_hierarchical_attention(jax.random.key(seed), **SIZES)
    return jax.tree.map(lambda W: W + jnp.asarray(0.3 * rng.standard_normal(W.shape), W.dtype), params)


def states(n, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=ROUNDING)


def test_padding_and_empty_sentences_do_not_matter(x64):
    plain = hierarchical_attention(DOCUMENT, model())
    longer = hierarchical_attention(np.pad(DOCUMENT, ((0, 2), (0, 3))), model())
    close(longer.p, plain.p)
    close(longer.alpha, np.pad(plain.alpha, ((0, 2), (0, 3))))
    close(longer.beta, np.pad(plain.beta, (0, 2)))
    between = hierarchical_attention(np.insert(DOCUMENT, 1, 0, axis=0), model())
    close(between.p, plain.p)
    close(between.beta, np.insert(plain.beta, 1, 0))


def test_the_padding_s_embedding_does_not_matter():
    other = model().replace(E=model().E.at[0].set(1e3))
    assert (hierarchical_attention(DOCUMENT, other).p == hierarchical_attention(DOCUMENT, model()).p).all()


def test_weights_are_distributions_over_what_is_real(x64):
    document = np.vstack([DOCUMENT, np.zeros((1, 4), int)])
    found = hierarchical_attention(document, model())
    close(found.alpha.sum(axis=-1), [1, 1, 1, 0])
    close(found.beta.sum(), 1)
    close(found.p.sum(), 1)
    assert (np.asarray(found.alpha > 0) == (document > 0)).all()
    assert (np.asarray(found.beta > 0) == [True, True, True, False]).all()


def test_a_vector_that_asks_nothing_gives_the_mean(x64):
    params, H, real = model().word_attention, states(5), np.array([True, True, False, True, False])
    params = params.replace(u=jnp.zeros_like(params.u))
    close(attention_weights(H, params, real), real / 3)
    close(attention_pooling(H, params, real), H[real].mean(axis=0))


def test_a_vector_that_asks_loudly_takes_one(x64):
    params, H = model().word_attention, states(5)
    best = np.argmax(attention_weights(H, params))
    params = params.replace(u=1e4 * params.u)
    close(attention_weights(H, params), np.eye(5)[best])
    close(attention_pooling(H, params), H[best])


def test_what_is_projected_is_another_function(x64):
    params, H = model().word_attention, states(5)
    U = np.tanh(H @ np.asarray(params.W).T + np.asarray(params.b))
    close(attention_pooling(H, params, projected=True), attention_weights(H, params) @ U)
    assert np.abs(attention_pooling(H, params, projected=True) - attention_pooling(H, params)).max() > 0.1


def without_units(document, params):
    """Line for line, with embeddings where the units' states stand: pooling has no idea of order."""
    E = jnp.concatenate([params.E, params.E[:, :1]], axis=-1)[document]
    alpha = attention_weights(E, params.word_attention, document > 0)
    s = attention_pooling(E, params.word_attention, document > 0)
    m = (document > 0).any(axis=-1)
    beta = attention_weights(s, params.sentence_attention, m)
    d = attention_pooling(s, params.sentence_attention, m)
    return jax.nn.softmax(classification_logits(d, params.classifier)), alpha, beta


def test_without_the_units_order_does_not_matter(x64):
    words, sentences = np.array([2, 0, 3, 1]), np.array([1, 2, 0])
    p, alpha, beta = without_units(DOCUMENT, model())
    p_then, alpha_then, beta_then = without_units(DOCUMENT[sentences][:, words], model())
    close(p_then, p)
    close(alpha_then, alpha[sentences][:, words])
    close(beta_then, beta[sentences])
    whole = [hierarchical_attention(x, model()).p for x in (DOCUMENT, DOCUMENT[sentences])]
    assert np.abs(whole[0] - whole[1]).max() > 1e-3  # with them it does


def test_from_the_other_side_the_units_change_places(x64):
    params, X, h = model().words, states(5, 3), SIZES["h"]
    swapped = BidirectionalGRUParameters(params.backward, params.forward)
    H, turned = bidirectional_gru(X, params), bidirectional_gru(X[::-1], swapped)
    close(turned[::-1], np.concatenate([H[:, h:], H[:, :h]], axis=-1))


def test_the_unit_from_the_end_begins_at_the_last_real_row(x64):
    params, X = model().words, states(5, 3)
    padded = bidirectional_gru(np.vstack([X, 9 * states(2, 3)]), params, np.arange(7) < 5)
    close(padded[:5], bidirectional_gru(X, params))


def test_one_sentence_is_all_that_matters(x64):
    found = hierarchical_attention(DOCUMENT[:1], model())
    close(found.beta, [1])


def test_a_batch_is_vmap_is_a_loop(x64):
    x = np.random.default_rng(0).integers(13, size=(2, 2, 3, 4))
    x[..., 0, 0] = 1
    together = hierarchical_attention(x, model())
    mapped = jax.vmap(jax.vmap(lambda x: hierarchical_attention(x, model())))(x)
    one = hierarchical_attention(x[1, 0], model())
    for name in ("p", "alpha", "beta"):
        close(getattr(together, name), getattr(mapped, name))
        close(getattr(together, name)[1, 0], getattr(one, name))
    labels = np.array([[0, 1], [2, 0]])
    expected = -np.log(np.take_along_axis(np.asarray(together.p), labels[..., None], axis=-1)).mean()
    close(hierarchical_attention_loss(model(), x, labels), expected)
    close(hierarchical_attention_loss(model(), x[1, 0], 2), -np.log(one.p[2]))


def test_gradients(x64):
    """Also with sentences that have no word, whose weights are 0 and no quotient of zeros."""
    x = np.stack([DOCUMENT, np.insert(DOCUMENT, 1, 0, axis=0)[:3]])
    labels = np.array([0, 2])
    check_grads(lambda params: hierarchical_attention_loss(params, x, labels), (model(),), order=1, modes=["rev"])
    gradient = jax.grad(hierarchical_attention_loss)(model(), x, labels)
    assert (gradient.E[0] == 0).all()
    assert (abs(gradient.E[np.unique(x)[1:]]).max(axis=-1) > 0).all()


@pytest.mark.parametrize("x64_on", [False, True], ids=["float32", "float64"])
def test_it_lowers_for_every_platform(x64_on):
    with jax.enable_x64(x64_on):
        arguments = jnp.asarray(DOCUMENT), model()
        exported = jax.export.export(jax.jit(hierarchical_attention), platforms=["cpu", "cuda", "tpu"])(*arguments)
    assert exported.platforms == ("cpu", "cuda", "tpu")


def test_another_document_compiles_nothing_anew(caplog):
    hierarchical_attention(DOCUMENT, model())
    with jax.log_compiles():
        hierarchical_attention(DOCUMENT[::-1].copy(), model())
    assert "Compiling" not in caplog.text


def test_a_traced_document_without_a_word_gives_nan():
    found = jax.jit(lambda x: hierarchical_attention(x, model()))(np.stack([DOCUMENT, 0 * DOCUMENT]))
    assert np.isfinite(found.p[0]).all()
    assert np.isnan(found.p[1]).all()
    assert (found.alpha[1] == 0).all()


def test_a_unit_in_half_precision_stays_in_it():
    params = jax.tree.map(lambda W: W.astype(jnp.bfloat16), init_gru(jax.random.key(0), d=3, h=2))
    assert gru(jnp.ones((4, 3), jnp.bfloat16), params).dtype == jnp.bfloat16
