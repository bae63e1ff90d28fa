"""Both editions against small cases worked by hand: the numbers, or the steps to them, stand in the tests."""

from math import e, log, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy import array, eye, ones, zeros
from numpy.testing import assert_allclose, assert_array_equal

import algorithms
import formal_tx
from algorithms.notation import GELU, ReLU, softmax
from formal_tx import (
    AttentionParameters,
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
    MHAttentionParameters,
    masks,
)
from formal_tx.activations import gelu, relu
from formal_tx.embedding import sinusoidal_positions
from formal_tx.losses import d_loss, e_loss, ed_loss
from tests.golden.editions import INITIALISE, paper_form, random_parameters, shapes

pytestmark = pytest.mark.usefixtures("x64")

CLOSE = {"rtol": 1e-13, "atol": 1e-14}
COLD = 1e-3


def zero_parameters(hyperparameters, **fields):
    """Parameters that are 0 but for the `fields` given, and γ, which is 1."""
    params = jax.tree.map(lambda a: zeros(a.shape), shapes(INITIALISE[type(hyperparameters)], hyperparameters))
    if hasattr(params, "gamma"):
        params = params.replace(gamma=ones(params.gamma.shape))
    return params.replace(**fields)


# Algorithms 1 and 2


def test_an_embedding_is_a_row_here_and_a_column_there():
    W = array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    for library, pseudocode in [
        (formal_tx.token_embedding, algorithms.token_embedding),
        (formal_tx.positional_embedding, algorithms.positional_embedding),
    ]:
        assert_array_equal(library(2, W), [5, 6])
        assert_array_equal(pseudocode(2, W.T), [5, 6])


def test_sinusoidal_positions():
    """d_e = 4 and l_max = 100: position t = 1 has the angles 1/√100 and 1/100, and t = 2 twice these."""
    expected = [[0.09983342, 0.99500417, 0.00999983, 0.99995000], [0.19866933, 0.98006658, 0.01999867, 0.99980001]]
    assert_allclose(sinusoidal_positions(l_max=100, d_e=4)[:2], expected, rtol=0, atol=5e-9)
    assert_allclose(algorithms.sinusoidal_positions(d_e=4, l_max=100).T[:2], expected, rtol=0, atol=5e-9)


# Algorithms 3, 4 and 5


def scores_0_and_ln_3():
    """For a token e = 1: q = (1, 1, 1, 1), and a context token c has k = c ln 3 / 2 (1, 1, 1, 1) and v = 4 c + 1."""
    return AttentionParameters(
        W_q=ones((4, 1)), b_q=zeros(4), W_k=ones((4, 1)) * log(3) / 2, b_k=zeros(4), W_v=array([[4.0]]), b_v=ones(1)
    )


def test_single_query_attention_to_two_tokens():
    """Scores 0 and 2 ln 3 / √4 = ln 3: weights 1/4 and 3/4 on the values 1 and 5."""
    params, token, context = scores_0_and_ln_3(), ones(1), array([[0.0], [1.0]])
    assert_allclose(formal_tx.basic_single_query_attention(token, context, params), [4], **CLOSE)
    assert_allclose(algorithms.basic_single_query_attention(token, list(context), paper_form(params)), [4], **CLOSE)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [([[1, 1], [1, 1]], [4, 4]), ([[1, 0], [1, 1]], [1, 4]), ([[1, 1], [0, 1]], [4, 5])],
    ids=["full", "causal", "anti-causal"],
)
def test_attention_of_two_tokens(mask, expected):
    """The same, asked twice: who sees one token has its value, 1 or 5; who sees both has 4. A row is a query here."""
    params, X, Z, mask = scores_0_and_ln_3(), ones((2, 1)), array([[0.0], [1.0]]), array(mask, bool)
    assert_allclose(formal_tx.attention(X, Z, params, mask)[:, 0], expected, **CLOSE)
    assert_allclose(algorithms.attention(X.T, Z.T, paper_form(params), mask.T)[0], expected, **CLOSE)


def test_causal_attention_without_queries_is_the_running_mean():
    """All scores are 0: the values 2, 4, 9 have the means 2, 3, 5."""
    nothing = AttentionParameters(
        W_q=zeros((1, 1)), b_q=zeros(1), W_k=ones((1, 1)), b_k=ones(1), W_v=eye(1), b_v=zeros(1)
    )
    X = array([[2.0], [4.0], [9.0]])
    assert_allclose(formal_tx.attention(X, X, nothing, masks.causal)[:, 0], [2, 3, 5], **CLOSE)
    mask = algorithms.notation.unidirectional(3, 3)
    assert_allclose(algorithms.attention(X.T, X.T, paper_form(nothing), mask)[0], [2, 3, 5], **CLOSE)


def test_two_heads():
    """Heads that give the mean of the context 1, 3 and twice that, 2 and 4; then 1 · 2 + 10 · 4 + 5."""
    heads = AttentionParameters(
        W_q=zeros((2, 1, 1)),
        b_q=zeros((2, 1)),
        W_k=zeros((2, 1, 1)),
        b_k=zeros((2, 1)),
        W_v=array([[[1.0]], [[2.0]]]),
        b_v=zeros((2, 1)),
    )
    params = MHAttentionParameters(heads, W_o=array([[1.0, 10.0]]), b_o=array([5.0]))
    X, Z = zeros((1, 1)), array([[1.0], [3.0]])
    assert_allclose(formal_tx.mh_attention(X, Z, params), [[47]], **CLOSE)
    assert_allclose(algorithms.mh_attention(X.T, Z.T, paper_form(params), ones((2, 1), bool)), [[47]], **CLOSE)


# Algorithm 6


@pytest.mark.parametrize(
    ("gamma", "beta", "expected"),
    [
        ([1, 1, 1, 1], [0, 0, 0, 0], [-2 / sqrt(3.5), -1 / sqrt(3.5), 0, 3 / sqrt(3.5)]),
        ([1, 1, 1, 1], [0, 0, 0, 0], [-1.069044968, -0.534522484, 0, 1.603567451]),
        ([1, 2, 0.5, 1], [0, 0.1, 0, -1], [-1.069044968, -0.969044968, 0, 0.603567451]),
    ],
    ids=["closed form", "numbers", "scaled"],
)
def test_layer_norm(gamma, beta, expected):
    """(1, 2, 3, 6) has mean 3 and variance (4 + 1 + 0 + 9) / 4."""
    token, gamma, beta = array([1.0, 2.0, 3.0, 6.0]), array(gamma, float), array(beta, float)
    assert_allclose(formal_tx.layer_norm(token, gamma, beta, epsilon=0.0), expected, rtol=0, atol=6e-10)
    assert_allclose(algorithms.layer_norm(token, gamma, beta), expected, rtol=0, atol=6e-10)


@pytest.mark.parametrize(("epsilon", "expected"), [(0.0, 1), (3.0, 1 / 2)])
def test_layer_norm_of_two_features(epsilon, expected):
    """(5, 3) has mean 4 and variance 1: ± 1, and with an epsilon of 3, ± 1/√(1 + 3)."""
    token = array([5.0, 3.0])
    assert_allclose(formal_tx.layer_norm(token, ones(2), epsilon=epsilon), [expected, -expected], **CLOSE)
    assert_allclose(algorithms.layer_norm(token, ones(2), zeros(2), epsilon), [expected, -expected], **CLOSE)


# Algorithm 7, eq. (2), eq. (5)


def test_unembedding():
    """Scores 0, ln 2, ln 3."""
    token, W_u = array([1.0, 2.0]), array([[0.0, 0.0], [log(2), 0.0], [0.0, log(3) / 2]])
    assert_allclose(formal_tx.unembedding(token, W_u), [1 / 6, 2 / 6, 3 / 6], **CLOSE)
    assert_allclose(algorithms.unembedding(token, W_u), [1 / 6, 2 / 6, 3 / 6], **CLOSE)


def test_softmax_sums_over_rows():
    """Of the pseudocode: a column is a distribution."""
    assert_allclose(softmax(array([[0.0, 0.0], [log(3), 0.0]])), [[1 / 4, 1 / 2], [3 / 4, 1 / 2]], **CLOSE)


def test_activations():
    """GELU(1) = Φ(1) = 0.841344746, where the approximation by tanh has 0.841191991; GELU(-1) = -(1 - Φ(1))."""
    x = jnp.asarray([-1.0, 0.0, 1.0])
    for function in gelu, GELU:
        assert_allclose(function(x), [-0.158655254, 0, 0.841344746], rtol=0, atol=6e-10)
    for function in relu, ReLU:
        assert_array_equal(function(x), [0, 0, 1])


# Algorithms 8, 9 and 10

SIZES = {"l_max": 5, "H": 1, "N_V": 4, "epsilon": 0.0}
D = DTransformerHyperparameters(L=0, d_e=2, d_mlp=1, **SIZES)
E = ETransformerHyperparameters(L=0, d_e=2, d_mlp=1, **SIZES)
ED = EDTransformerHyperparameters(L_enc=0, L_dec=0, d_e=2, d_mlp=1, **SIZES)

# Normalised, a pair is (1, -1) or (-1, 1): here that of token 1 and 2, and of 0 and 3.
PAIRS = array([[0.0, 1.0], [1.0, 0.0], [5.0, 3.0], [2.0, 9.0]])
SCORES = array([[0.0, 0.0], [0.0, log(2)], [0.0, log(3)], [log(4), 0.0]])
AFTER_0_OR_3 = array([1, 2, 3, 1 / 4]) / 6.25
AFTER_1_OR_2 = array([1, 1 / 2, 1 / 3, 4]) / (35 / 6)


def test_d_transformer_without_layers():
    """Embedding, norm, unembedding: (-1, 1) scores 0, ln 2, ln 3, -ln 4, and (1, -1) the opposite."""
    params, x = zero_parameters(D, W_e=PAIRS, W_u=SCORES), array([0, 1, 2, 3])
    P = array([AFTER_0_OR_3, AFTER_1_OR_2, AFTER_1_OR_2, AFTER_0_OR_3])
    assert_allclose(formal_tx.d_transformer(x, params, D), P, **CLOSE)
    assert_allclose(algorithms.d_transformer(x, paper_form(params)), P.T, **CLOSE)
    expected = -log(0.32) - log(2 / 35) - log(24 / 35)
    assert_allclose(d_loss(params, x, D), expected, **CLOSE)


def test_e_transformer_without_layers():
    """Where GELU only grows, the order of a pair stays, and with it what the norm gives: the same P."""
    params, x = zero_parameters(E, W_e=PAIRS, W_f=eye(2), W_u=SCORES), array([0, 1, 2, 3])
    P = array([AFTER_0_OR_3, AFTER_1_OR_2, AFTER_1_OR_2, AFTER_0_OR_3])
    assert_allclose(formal_tx.e_transformer(x, params, E), P, **CLOSE)
    assert_allclose(algorithms.e_transformer(x, paper_form(params)), P.T, **CLOSE)


def test_ed_transformer_without_layers():
    """Here no norm is left: token 0 at position 0 is (0, 1) + (1, 1) and scores 0, 2 ln 2, 2 ln 3, ln 4."""
    W_p = zeros((5, 2))
    W_p[0] = 1
    params = zero_parameters(ED, W_e=PAIRS, W_p=W_p, W_u=SCORES)
    P = array([[1, 4, 9, 4], [1, 2, 3, 1]]) / array([[18], [7]])
    assert_allclose(formal_tx.ed_transformer(array([3]), array([0, 0]), params, ED), P, **CLOSE)
    assert_allclose(algorithms.ed_transformer([3], [0, 0], paper_form(params)), P.T, **CLOSE)


def test_without_an_unembedding_all_tokens_are_equally_likely():
    """W_u = 0 with two layers of random parameters: P is 1 / 7, and a loss is ln 7 for each position that counts."""
    sizes = {"l_max": 5, "H": 2, "d_e": 6, "d_mlp": 3, "N_V": 7}
    x, z = array([5, 0, 2, 1]), array([3, 6])
    x_tilde = array([4, 0, 4, 1])

    hp = DTransformerHyperparameters(L=2, **sizes)
    params = random_parameters(hp, 0).replace(W_u=zeros((7, 6)))
    assert_allclose(formal_tx.d_transformer(x, params, hp), ones((4, 7)) / 7, **CLOSE)
    assert_allclose(algorithms.d_transformer(x, paper_form(params)), ones((7, 4)) / 7, **CLOSE)
    assert_allclose(d_loss(params, x, hp), 3 * log(7), **CLOSE)
    assert_allclose(d_loss(params, x, hp, mean=True), log(7), **CLOSE)

    hp = ETransformerHyperparameters(L=2, d_f=5, **sizes)
    params = random_parameters(hp, 0).replace(W_u=zeros((7, 5)))
    assert_allclose(formal_tx.e_transformer(x, params, hp), ones((4, 7)) / 7, **CLOSE)
    assert_allclose(algorithms.e_transformer(x, paper_form(params)), ones((7, 4)) / 7, **CLOSE)
    assert_allclose(e_loss(params, x_tilde, x, hp), 2 * log(7), **CLOSE)

    hp = EDTransformerHyperparameters(L_enc=2, L_dec=2, **sizes)
    params = random_parameters(hp, 0).replace(W_u=zeros((7, 6)))
    assert_allclose(formal_tx.ed_transformer(z, x, params, hp), ones((4, 7)) / 7, **CLOSE)
    assert_allclose(algorithms.ed_transformer(z, x, paper_form(params)), ones((7, 4)) / 7, **CLOSE)
    assert_allclose(ed_loss(params, z, x, hp), 3 * log(7), **CLOSE)


# Algorithms 11, 12 and 13: from W_u = 0 one update moves W_u alone, by -η Σ_t (1/4 - [[v is the target]]) X_t


def assert_only_W_u_moved(trained, params, W_u):
    jax.tree.map(lambda a, b: assert_allclose(a, b, **CLOSE), trained, params.replace(W_u=W_u))


def test_d_training_once():
    """x = 0 3 1, both encoded as (-1, 1); the targets are 3 and 1; then the loss is 2 ln(2 + 2/e)."""
    params, x = zero_parameters(D, W_e=PAIRS), array([[0, 3, 1]])
    slope = array([[-1 / 2, 1 / 2], [1 / 2, -1 / 2], [-1 / 2, 1 / 2], [1 / 2, -1 / 2]])
    options = {"optimizer": optax.sgd(0.5), "history": True}
    trained, history = formal_tx.d_training(x, params, D, epochs=1, **options)
    assert_only_W_u_moved(trained, params, -0.5 * slope)
    assert_allclose(history.loss, [[2 * log(4)]], **CLOSE)
    assert_allclose(d_loss(trained, x[0], D), 2 * log(2 + 2 / e), **CLOSE)
    theta_hat = algorithms.d_training(x, paper_form(params), 1, 0.5)
    assert_allclose(theta_hat.W_u, -0.5 * slope, rtol=0, atol=1e-9)
    assert_allclose(theta_hat.W_e, params.W_e.T, rtol=0, atol=1e-9)


def test_e_training_once():
    """All of x = 0 2 0 masked, and mask_token is 1, encoded as (1, -1)."""
    params, x = zero_parameters(E, W_e=PAIRS, W_f=eye(2)), array([[0, 2, 0]])
    slope = array([3 / 4 - 2, 3 / 4, 3 / 4 - 1, 3 / 4])[:, None] * array([1, -1])
    options = {"optimizer": optax.sgd(0.4), "history": True, "mask_probability": 0.999999, "key": jax.random.key(0)}
    trained, history = formal_tx.e_training(x, params, E, epochs=1, **options)
    assert_only_W_u_moved(trained, params, -0.4 * slope)
    assert_allclose(history.loss, [[3 * log(4)]], **CLOSE)
    theta_hat = algorithms.e_training(x, paper_form(params), 1, 0.4, 0.5, random=lambda: 0.0)
    assert_allclose(theta_hat.W_u, -0.4 * slope, rtol=0, atol=1e-9)
    assert_allclose(theta_hat.W_f, params.W_f, rtol=0, atol=1e-9)


def test_ed_training_once():
    """x = 3 0 1: (0, 2) + (0, 1) with target 0, and (1, 0) + (1, 0) with target 1."""
    W_e, W_p = array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 2.0]]), zeros((5, 2))
    W_p[:2] = [[0.0, 1.0], [1.0, 0.0]]
    params, z, x = zero_parameters(ED, W_e=W_e, W_p=W_p), array([[2]]), array([[3, 0, 1]])
    slope = array([[2 / 4, 3 / 4 - 3], [2 / 4 - 2, 3 / 4], [2 / 4, 3 / 4], [2 / 4, 3 / 4]])
    options = {"optimizer": optax.sgd(0.4), "history": True}
    trained, history = formal_tx.ed_training(z, x, params, ED, epochs=1, **options)
    assert_only_W_u_moved(trained, params, -0.4 * slope)
    assert_allclose(history.loss, [[2 * log(4)]], **CLOSE)
    theta_hat = algorithms.ed_training(z, x, paper_form(params), 1, 0.4)
    assert_allclose(theta_hat.W_u, -0.4 * slope, rtol=0, atol=1e-9)
    assert_allclose(theta_hat.W_p, params.W_p.T, rtol=0, atol=1e-9)


# Algorithms 14 and 15


def following(successor, N_V):
    """A matrix W_u that scores the successor of a token 1 and all others 0, if tokens are embedded as they are."""
    W_u = zeros((N_V, N_V))
    W_u[list(successor.values()), list(successor)] = 1
    return W_u


def most_likely(q):
    return int(q.argmax())


def test_d_inference_follows_a_cycle():
    """0 → 2 → 1 → 3 → 0: the norm makes a token's own feature the largest, as it was."""
    hp = DTransformerHyperparameters(L=0, d_e=4, d_mlp=1, **SIZES)
    params = zero_parameters(hp, W_e=eye(4), W_u=following({0: 2, 2: 1, 1: 3, 3: 0}, 4))
    y = formal_tx.d_inference(array([0]), params, hp, length=5, temperature=COLD, key=jax.random.key(0))
    assert_array_equal(y, [2, 1, 3, 0, 2])
    assert algorithms.d_inference([0], paper_form(params), 5, 1.0, most_likely) == [2, 1, 3, 0, 2]
    y = formal_tx.d_inference(array([2, 1, 3]), params, hp, length=2, temperature=COLD, key=jax.random.key(0))
    assert_array_equal(y, [0, 2])
    assert algorithms.d_inference([2, 1, 3], paper_form(params), 2, 1.0, most_likely) == [0, 2]


@pytest.mark.parametrize(
    ("successor", "x_hat"),
    [({3: 0, 0: 1, 1: 4}, [3, 0, 1, 4]), ({3: 0, 0: 1, 1: 0}, [3, 0, 1, 0, 1, 0])],
    ids=["to eos_token", "for ever"],
)
def test_ed_inference_follows_a_chain(successor, x_hat):
    """Five tokens, the fourth bos_token and the fifth eos_token; without that it ends at l_max + 1 = 6 tokens."""
    hp = EDTransformerHyperparameters(L_enc=0, L_dec=0, d_e=5, d_mlp=1, **SIZES | {"N_V": 5})
    params = zero_parameters(hp, W_e=eye(5), W_u=following(successor, 5))
    actual = formal_tx.ed_inference(array([2]), params, hp, temperature=COLD, key=jax.random.key(0))
    assert_array_equal(actual, x_hat)
    assert algorithms.ed_inference([2], paper_form(params), 1.0, most_likely) == x_hat


@pytest.mark.parametrize(
    ("temperature", "weights"),
    [(1.0, [1, 2, 3]), (0.5, [1, 4, 9]), (2.0, [1, sqrt(2), sqrt(3)])],
)
def test_temperature(temperature, weights):
    """p = (1, 2, 3) / 6 to the power 1/τ: the pseudocode's q, and how often the library draws each of three tokens."""
    hp = DTransformerHyperparameters(L=0, d_e=2, d_mlp=1, **SIZES | {"N_V": 3})
    params = zero_parameters(hp, W_e=PAIRS[:3], W_u=SCORES[:3])
    q, seen = array(weights) / sum(weights), []
    algorithms.d_inference([0], paper_form(params), 1, temperature, lambda q: seen.append(q) or 0)
    assert_allclose(seen, [q], **CLOSE)
    prompts = jnp.zeros((4000, 1), int)
    y = formal_tx.d_inference(prompts, params, hp, length=1, temperature=temperature, key=jax.random.key(0))
    frequency = np.bincount(np.ravel(y), minlength=3) / 4000
    assert_allclose(frequency, q, rtol=0, atol=4 * sqrt(0.25 / 4000))  # four standard deviations at most
