"""Hierarchical attention against what another hand computes: cases by hand, plain loops, PyTorch's GRU."""

from math import exp, tanh

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx.long_context.gru import bidirectional_gru, gru, gru_cell, init_gru
from formal_tx.long_context.hierarchical_attention import (
    hierarchical_attention,
    init_hierarchical_attention,
)

from .test_properties import DOCUMENT, close, model, states


def test_a_unit_of_zeros_halves_its_state():
    """z = r = 1/2 and n = 0: s' = s / 2."""
    zeros = jax.tree.map(jnp.zeros_like, init_gru(jax.random.key(0), d=3, h=2))
    np.testing.assert_array_equal(gru_cell(np.ones(3), np.array([4.0, -6.0]), zeros), [2, -3])
    np.testing.assert_array_equal(gru(states(4, 3), zeros), np.zeros((4, 2)))


def test_a_gate_that_is_shut_keeps_the_state_and_one_that_is_open_takes_the_new_one(x64):
    params = init_gru(jax.random.key(0), d=3, h=2)
    x, s = states(1, 3)[0], np.array([0.25, -0.5])
    shut, opened = (params.replace(b_z=jnp.full(2, b)) for b in (100.0, -100.0))
    close(gru_cell(x, s, shut), s)
    n = np.tanh(params.W_n @ x + 1 / (1 + np.exp(-(params.W_r @ x + params.U_r @ s))) * (params.U_n @ s))
    close(gru_cell(x, s, opened), n)


# A document of two sentences of two words, with one state each way, by loops over numbers.


def _sigmoid(a):
    return 1 / (1 + exp(-a))


def _dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def _unit(xs, W):
    s, found = 0.0, []
    for x in xs:
        z = _sigmoid(_dot(W["W_z"][0], x) + W["U_z"][0][0] * s + W["b_z"][0])
        r = _sigmoid(_dot(W["W_r"][0], x) + W["U_r"][0][0] * s + W["b_r"][0])
        n = tanh(_dot(W["W_n"][0], x) + W["b_n"][0] + r * (W["U_n"][0][0] * s + W["c_n"][0]))
        s = (1 - z) * n + z * s
        found.append(s)
    return found


def _both(xs, W):
    forward, backward = _unit(xs, W["forward"]), _unit(xs[::-1], W["backward"])[::-1]
    return [[f, b] for f, b in zip(forward, backward, strict=True)]


def _pool(H, W):
    scores = [sum(u * tanh(_dot(row, h) + b) for row, b, u in zip(W["W"], W["b"], W["u"], strict=True)) for h in H]
    weights = [exp(e) / sum(exp(other) for other in scores) for e in scores]
    return [_dot(weights, column) for column in zip(*H, strict=True)], weights


def test_a_small_document_by_plain_loops(x64):
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: init_hierarchical_attention(jax.random.key(0), N_V=5, e=2, h=1, a=2, C=3))
    params = jax.tree.map(lambda W: jnp.asarray(rng.standard_normal(W.shape)), shapes)

    def numbers(part):
        fields = {name: getattr(part, name) for name in part.__dataclass_fields__}
        return {name: value.tolist() if hasattr(value, "shape") else numbers(value) for name, value in fields.items()}

    theta, x = numbers(params), [[1, 2], [3, 1]]
    alpha, s = [], []
    for sentence in x:
        vector, weights = _pool(_both([theta["E"][v] for v in sentence], theta["words"]), theta["word_attention"])
        alpha.append(weights)
        s.append(vector)
    d, beta = _pool(_both(s, theta["sentences"]), theta["sentence_attention"])
    scores = [exp(_dot(row, d) + b) for row, b in zip(theta["classifier"]["W"], theta["classifier"]["b"], strict=True)]
    found = hierarchical_attention(np.array(x), params)
    close(found.alpha, alpha)
    close(found.beta, beta)
    close(found.p, np.array(scores) / sum(scores))


@pytest.mark.oracle
def test_the_units_are_pytorchs(x64):
    """With sequences of several lengths, which PyTorch packs so as not to read the padding."""
    torch = pytest.importorskip("torch")
    params, e, h = model().words, 3, 2
    unit = torch.nn.GRU(e, h, batch_first=True, bidirectional=True, dtype=torch.float64)
    for W, suffix in ((params.forward, ""), (params.backward, "_reverse")):
        values = {
            "weight_ih_l0": [W.W_r, W.W_z, W.W_n],
            "weight_hh_l0": [W.U_r, W.U_z, W.U_n],
            "bias_ih_l0": [W.b_r, W.b_z, W.b_n],
            "bias_hh_l0": [jnp.zeros(h), jnp.zeros(h), W.c_n],
        }
        for name, parts in values.items():
            getattr(unit, name + suffix).data = torch.tensor(np.concatenate(parts))
    lengths = np.array([4, 1, 3])
    X = np.stack([states(4, e, seed) for seed in range(3)])
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(X), torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(unit(packed)[0], batch_first=True)
    real = np.arange(4) < lengths[:, None]
    found = np.asarray(bidirectional_gru(X, params, real))
    close(found[real], expected.detach().numpy()[real])


def test_a_document_is_its_sentences_read_one_by_one(x64):
    """Without padding, since each sentence has as many words as it has."""
    whole = hierarchical_attention(DOCUMENT, model())
    for sentence, alpha in zip(DOCUMENT, whole.alpha, strict=True):
        words = sentence[sentence > 0]
        close(hierarchical_attention(words[None], model()).alpha[0], alpha[: len(words)])
