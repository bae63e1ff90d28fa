"""One test for each line of `docs/errata.md`: what the print leaves wrong or open, and what both editions do about it.

E is an erratum or an ambiguity of the paper, D a deviation of the library from it. Most of these are tested at length
elsewhere; here each stands alone, to be read beside the table. `algorithms` is the pseudocode, `formal_tx` the library.
"""

import inspect
import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import algorithms
import formal_tx
from formal_tx import masks
from formal_tx.activations import gelu
from formal_tx.crosscheck.layout import to_paper
from formal_tx.embedding import sinusoidal_positions
from formal_tx.inference import draw
from formal_tx.losses import d_loss, e_loss
from formal_tx.masking import mask_tokens
from formal_tx.tagging import reap

KEY = jax.random.key(0)
D = formal_tx.DTransformerHyperparameters(l_max=5, L=1, H=2, d_e=6, d_mlp=7, N_V=11)
E = formal_tx.ETransformerHyperparameters(l_max=5, L=1, H=2, d_e=6, d_mlp=7, N_V=11, d_f=4)
ED = formal_tx.EDTransformerHyperparameters(l_max=5, L_enc=1, L_dec=2, H=2, d_e=6, d_mlp=7, N_V=11)
X_D, Z = np.array([9, 1, 2]), np.array([3, 4])


@cache
def theta(kind):
    """Parameters of a tiny model, embeddings larger than they start in practice, so that differences show."""
    init, hyperparameters = {
        "d": (formal_tx.init_d_transformer, D),
        "e": (formal_tx.init_e_transformer, E),
        "ed": (formal_tx.init_ed_transformer, ED),
    }[kind]
    with jax.ensure_compile_time_eval():  # inside a trace too
        params = jax.jit(init, static_argnums=1)(KEY, hyperparameters)
        return params.replace(W_e=50 * params.W_e, W_p=50 * params.W_p, W_u=50 * params.W_u)


@cache
def heads():
    with jax.ensure_compile_time_eval():
        return formal_tx.init_mh_attention(KEY, d_x=2, d_z=3, d_attn=5, d_mid=7, d_out=4, H=2)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(result, expected, tolerance=1e-5):
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance)


def reaped(function):
    """What each line of `function()` assigned, by the last part of its path."""
    lines = jax.jit(lambda: reap(function)()[1])()
    return {name.rpartition("/")[2]: value for name, value in lines.items()}


def always(token, kind="ed"):
    """A model that answers `token` whatever it is asked: the last norm gives ones, and W_u weighs only `token`."""
    params = theta(kind)
    W_u = jnp.zeros_like(params.W_u).at[token].set(50)
    if kind == "d":
        return params.replace(gamma=0 * params.gamma, beta=1 + 0 * params.beta, W_u=W_u)
    layers = params.decoder
    return params.replace(decoder=layers.replace(gamma_5=0 * layers.gamma_5, beta_5=1 + 0 * layers.beta_5), W_u=W_u)


def most_likely(q):
    return int(np.argmax(q))


# Errata and ambiguities of the paper


def test_E01_the_loop_of_the_decoder():
    """Line 13 of Algorithm 8: L_dec turns, each with the parameters of its own layer."""
    lines = reaped(lambda: formal_tx.ed_transformer(Z, X_D, theta("ed"), ED))
    assert lines["14.X"].shape == (ED.L_dec, 3, ED.d_e)
    P = algorithms.ed_transformer(Z, X_D, to_paper(theta("ed")), ED.epsilon)
    close(formal_tx.ed_transformer(Z, X_D, theta("ed"), ED).T, P)


def test_E02_the_width_of_the_unembedding():
    """Algorithm 9: W_u (N_V, d_f), or line 12 does not multiply."""
    assert E.d_f != E.d_e
    assert theta("e").W_u.shape == (E.N_V, E.d_f)
    assert formal_tx.e_transformer(X_D, theta("e"), E).shape == (3, E.N_V)


def test_E03_attention_of_one_sequence():
    """MHAttention(X | W, Mask) is MHAttention(X, X | W, Mask)."""
    lines = reaped(lambda: formal_tx.d_transformer(X_D, theta("d"), D))
    X, X_tilde = lines["3.X"], lines["5.X_tilde"][0]
    W = jax.tree.map(lambda W: W[0], theta("d").layers.attention)
    close(lines["6.X"][0], X + formal_tx.mh_attention(X_tilde, X_tilde, W, masks.causal))


@pytest.mark.parametrize("length", [0, 6])
def test_E04_the_length_of_a_sequence(length):
    """1 ≤ ℓ ≤ l_max, since W_p has l_max rows."""
    with pytest.raises(ValueError, match="x is empty" if length == 0 else "x has 6 tokens, more than l_max = 5"):
        formal_tx.d_transformer([1] * length, theta("d"), D)


def test_E05_room_for_the_continuation():
    """Algorithm 14 needs ℓ + l_gen - 1 ≤ l_max."""
    assert formal_tx.d_inference([9, 1, 2, 3, 4], theta("d"), D, length=1, key=KEY).shape == (1,)
    with pytest.raises(ValueError, match=r"ℓ \+ length - 1 = 6 is more than l_max = 5"):
        formal_tx.d_inference([9, 1, 2, 3, 4], theta("d"), D, length=2, key=KEY)


def test_E06_a_loop_that_ends():
    """Algorithm 15 stops at l_max too: x_hat then has l_max + 1 tokens, and no eos_token among them."""
    params = always(1)
    x_hat = formal_tx.ed_inference(Z, params, ED, key=KEY)
    np.testing.assert_array_equal(x_hat, [ED.bos_token, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(x_hat, algorithms.ed_inference(Z, to_paper(params), 1.0, most_likely))


def test_E07_inference_that_does_not_stop():
    """Algorithm 14 goes on after eos_token, and needs a token to start from."""
    y = formal_tx.d_inference(X_D, always(D.eos_token, "d"), D, length=2, key=KEY)
    np.testing.assert_array_equal(y, [D.eos_token, D.eos_token])
    with pytest.raises(ValueError, match="x is empty, at least one token is needed"):
        formal_tx.d_inference([], theta("d"), D, length=1, key=KEY)


def test_E08_a_sentinel_that_is_no_token():
    """y <- 0 would be a token, counted from 0: one that is drawn does not end the loop, and none is assumed."""
    params = always(0)
    x_hat = formal_tx.ed_inference(Z, params, ED, key=KEY, l_max=2)
    np.testing.assert_array_equal(x_hat, [ED.bos_token, 0, 0])
    assert algorithms.ed_inference(Z, to_paper(params), 1.0, most_likely)[:3] == [ED.bos_token, 0, 0]


def test_E09_temperatures():
    """0 and ∞ are limits: refused themselves, approached by what is near them."""
    for temperature in (0.0, float("inf")):
        with pytest.raises(ValueError, match="expected a finite number greater than 0"):
            formal_tx.d_inference(X_D, theta("d"), D, length=1, temperature=temperature, key=KEY)
    logits = jnp.asarray(normal(400, 11))
    keys = jax.random.split(KEY, 400)
    np.testing.assert_array_equal(jax.vmap(draw, (0, None, 0))(logits, 1e-6, keys), logits.argmax(axis=-1))
    uniform = jax.vmap(draw, (0, None, 0))(logits, 1e6, keys)
    assert len(np.unique(uniform)) == 11


def test_E10_no_epsilon():
    """As printed a constant vector is 0/0. `epsilon` is added to the variance, and `epsilon=0` is the paper."""
    e, ones, zeros = normal(6), np.ones(6, np.float32), np.zeros(6, np.float32)
    assert np.isnan(formal_tx.layer_norm(ones, ones, zeros, epsilon=0)).all()
    for epsilon in (0, 1e-5):
        expected = (e - e.mean()) / np.sqrt(e.var() + epsilon)
        close(formal_tx.layer_norm(e, ones, zeros, epsilon=epsilon), expected)
        close(algorithms.layer_norm(e, ones, zeros, epsilon), expected)


def test_E11_the_mean_is_a_scalar():
    """The mean of Algorithm 6 is set in bold: it is a number for each token."""
    ones = jnp.ones(6)
    assert reaped(lambda: formal_tx.layer_norm(normal(3, 6), ones))["1.m"].shape == (3,)


def test_E12_sinusoids_as_printed():
    """Base l_max, and i and t from 1; not the formula of Vaswani et al."""
    W_p = sinusoidal_positions(100, 4)
    close(W_p[0], [math.sin(0.1), math.cos(0.1), math.sin(0.01), math.cos(0.01)])
    close(W_p.T, algorithms.sinusoidal_positions(4, 100))


def test_E13_tokens_and_positions():
    """ "Token t in V" is a position: there is a weight for each position of the context, one token twice or not."""
    head = formal_tx.init_attention(KEY, d_x=2, d_z=2, d_attn=5, d_out=7)
    context = normal(3, 2)[np.array([0, 1, 1, 2])]
    alpha = reaped(lambda: formal_tx.basic_single_query_attention(normal(2), context, head))["4.alpha"]
    assert alpha.shape == (4,)
    close(alpha[1], alpha[2])


def test_E14_the_width_of_a_value():
    """d_value of the prose, d_out of Algorithms 3 and 4, d_mid of Algorithm 5: the rows of W_v."""
    X, Z = normal(4, 2), normal(3, 3)
    head = jax.tree.map(lambda W: W[0], heads().heads)
    assert formal_tx.attention(X, Z, head).shape == (4, head.W_v.shape[0])
    assert reaped(lambda: formal_tx.mh_attention(X, Z, heads()))["2.Y_h"].shape == (2, 4, heads().heads.W_v.shape[1])


def test_E15_the_mask_is_boolean():
    """Appendix B has real numbers for it; Algorithms 4 and 5 have {0, 1}, and the library nothing but bool."""
    for mask in (np.ones((4, 3)), np.ones((4, 3), int)):
        with pytest.raises(TypeError, match="expected bool with true meaning 'may attend'"):
            formal_tx.mh_attention(normal(4, 2), normal(3, 3), heads(), mask)


def test_E16_the_values_of_many_heads():
    """W_v (d_mid, d_z) of each head, as in eq. (4); Appendix B has d_out rows."""
    assert heads().heads.W_v.shape == (2, 7, 3)
    assert heads().W_o.shape == (4, 2 * 7)


def test_E17_the_last_norm_of_algorithm_9():
    assert theta("e").gamma.shape == theta("e").beta.shape == (E.d_f,)


def test_E18_two_lengths():
    """Context and primary sequence have lengths of their own."""
    assert len(Z) != len(X_D)
    assert formal_tx.ed_transformer(Z, X_D, theta("ed"), ED).shape == (len(X_D), ED.N_V)


def test_E19_the_first_token_is_not_scored():
    """The loss starts at x[2]: P(x[1]) is 1 if x[1] is bos_token, and no algorithm computes it."""
    P = formal_tx.d_transformer(X_D, theta("d"), D)
    close(d_loss(theta("d"), X_D, D), -jnp.log(P[0, X_D[1]]) - jnp.log(P[1, X_D[2]]))
    assert d_loss(theta("d"), X_D[:1], D) == 0


def test_E20_probabilities_that_are_0():
    """P in (0, 1) in the paper; in floating point an entry can be 0, and the loss is finite all the same."""
    params = always(3, "d")
    assert formal_tx.d_transformer(X_D, params, D)[0, 1] == 0
    close(d_loss(params, X_D, D), 2 * 50 * D.d_e)


def test_E21_mask_tokens_in_the_data():
    """They are in T_tilde, and to be predicted, with certainty."""
    x = np.array([9, E.mask_token, 2])
    P = formal_tx.e_transformer(x, theta("e"), E)
    close(e_loss(theta("e"), x, x, E), -jnp.log(P[1, E.mask_token]))


def test_E22_special_tokens_can_be_masked():
    """Nothing exempts bos_token and eos_token."""
    x = np.tile([E.bos_token, 1, E.eos_token], (100, 1))
    masked = (mask_tokens(KEY, x, E, 0.5)[0] == E.mask_token).mean(axis=0)
    assert (abs(masked - 0.5) < 0.2).all()


def test_E26_what_a_set_of_tokens_is():
    """Without positions and with Mask = 1, attention is equivariant in X and invariant in Z, not invariant in both."""
    X, Z = normal(4, 2), normal(3, 3, seed=1)
    V = formal_tx.mh_attention(X, Z, heads())
    close(formal_tx.mh_attention(X[::-1], Z, heads()), V[::-1])
    close(formal_tx.mh_attention(X, Z[::-1], heads()), V)
    assert abs(V - V[::-1]).max() > 0.1


def test_E27_widths_that_are_not_listed():
    """d_attn and d_mid are hyperparameters, d_e / H unless given; the residual needs d_x = d_z = d_out = d_e."""
    assert (D.d_attn, D.d_mid) == (3, 3)
    params = jax.eval_shape(lambda: formal_tx.init_d_transformer(KEY, replace(D, d_attn=4, d_mid=5)))
    assert params.layers.attention.heads.W_k.shape == (1, 2, 4, 6)
    assert params.layers.attention.W_o.shape == (1, 6, 2 * 5)


def test_E28_which_index_of_the_mask_is_which():
    """Mask[t, t'] has the context first; the library's mask is its transpose, a row for each query."""
    X = normal(4, 2)
    head = formal_tx.init_attention(KEY, d_x=2, d_z=2, d_attn=5, d_out=7)
    Mask = np.triu(np.ones((4, 4), bool))
    close(formal_tx.attention(X, X, head, masks.causal), algorithms.attention(X.T, X.T, to_paper(head), Mask).T)
    np.testing.assert_array_equal(masks.dense(masks.causal, 4, 4), Mask.T)


def test_E29_a_query_that_sees_nothing():
    """0/0: an error where the mask can be seen, nan where not, in the pseudocode too."""
    X, Z, mask = normal(4, 2), normal(3, 3), np.ones((4, 3), bool)
    mask[2] = False
    with pytest.raises(ValueError, match="the mask lets query 2 attend to nothing"):
        formal_tx.mh_attention(X, Z, heads(), mask)
    V = jax.jit(lambda mask: formal_tx.mh_attention(X, Z, heads(), mask))(mask)
    with np.errstate(invalid="ignore"):
        V_paper = algorithms.mh_attention(X.T, Z.T, to_paper(heads()), mask.T).T
    for rows in (V, V_paper):
        np.testing.assert_array_equal(np.isnan(rows).any(axis=1), [False, False, True, False])


def test_E30_what_the_losses_leave_open():
    """The logarithm is natural, the loss a sum, and the sequences make their updates in the order given."""
    params = theta("d").replace(W_u=jnp.zeros_like(theta("d").W_u))
    close(d_loss(params, X_D, D), 2 * math.log(D.N_V))
    x = np.array([[9, 1, 2], [9, 3, 4]])
    train = {"epochs": 1, "optimizer": optax.sgd(0.5)}
    one, other = (formal_tx.d_training(rows, theta("d"), D, **train) for rows in (x, x[::-1]))
    assert abs(one.W_u - other.W_u).max() > 1e-3
    P_n = [algorithms.d_transformer(x_n, to_paper(theta("d")), D.epsilon) for x_n in x]
    close(d_loss(theta("d"), x, D), -sum(np.log(P[x_n[1:], [0, 1]]).sum() for P, x_n in zip(P_n, x, strict=True)))


# Deviations of the library


def test_D01_epsilon():
    """1e-5 unless said otherwise, in the layer norm and in the three architectures."""
    assert inspect.signature(formal_tx.layer_norm).parameters["epsilon"].default == 1e-5
    assert D.epsilon == E.epsilon == ED.epsilon == 1e-5
    printed = replace(D, epsilon=0.0)
    close(formal_tx.d_transformer(X_D, theta("d"), printed).T, algorithms.d_transformer(X_D, to_paper(theta("d"))))


def test_D02_rows():
    """What has a column for each token or position has a row; a matrix that multiplies a vector is the paper's own."""
    params, paper = theta("d"), to_paper(theta("d"))
    close(paper.W_e, params.W_e.T)
    close(paper.W_p, params.W_p.T)
    close(paper.W_u, params.W_u)
    close(paper.layers[0].attention.heads[1].W_q, params.layers.attention.heads.W_q[0, 1])
    close(formal_tx.token_embedding(3, params.W_e), algorithms.token_embedding(3, paper.W_e))


def test_D03_counting_from_0():
    """Ids and positions, in both editions; the special tokens stand at the end, as in the paper."""
    assert (D.mask_token, D.bos_token, D.eos_token) == (8, 9, 10)
    np.testing.assert_array_equal(formal_tx.token_embedding(0, theta("d").W_e), theta("d").W_e[0])
    np.testing.assert_array_equal(formal_tx.positional_embedding(0, theta("d").W_p), theta("d").W_p[0])


def test_D04_batches_and_means():
    """One update for a batch, of the sum of its losses, or of their mean over the positions scored."""
    x, params = np.array([[9, 1, 2], [9, 3, 4]]), theta("d")
    close(d_loss(params, x, D), d_loss(params, x[0], D) + d_loss(params, x[1], D))
    close(d_loss(params, x, D, mean=True), d_loss(params, x, D) / 4)
    trained = formal_tx.d_training(x, params, D, epochs=1, optimizer=optax.sgd(0.1), batch_size=2)
    close(trained.W_u, params.W_u - 0.1 * jax.grad(d_loss)(params, x, D).W_u)


def test_D05_optimisers():
    """Any of optax; `optax.sgd(eta)` is line 6, θ <- θ - η ∇loss(θ)."""
    x, params = np.array([[9, 1, 2]]), theta("d")
    trained = formal_tx.d_training(x, params, D, epochs=1, optimizer=optax.sgd(0.1))
    expected = jax.tree.map(lambda W, g: W - 0.1 * g, params, jax.grad(d_loss)(params, x[0], D))
    jax.tree.map(close, trained, expected)


def test_D06_logits():
    """What comes before the softmax has a function of its own, and the losses and the sampling start from it."""
    logits = formal_tx.d_transformer_logits(X_D, theta("d"), D)
    close(jax.nn.softmax(logits), formal_tx.d_transformer(X_D, theta("d"), D))


def test_D07_padding():
    """With `lengths` a padded batch is its sequences, and what stands in the padding is not looked at."""
    x, lengths = np.array([[9, 1, 2], [9, 3, -1]]), np.array([3, 2])
    P = formal_tx.e_transformer(x, theta("e"), E, lengths)
    close(P[0], formal_tx.e_transformer(x[0], theta("e"), E))
    close(P[1, :2], formal_tx.e_transformer(x[1, :2], theta("e"), E))


def test_D08_tied_embeddings():
    """Section 5's option: W_u is W_e itself, and no parameter."""
    tied = replace(D, tied_embeddings=True)
    params = theta("d").replace(W_u=None)
    assert jax.tree.structure(params) == jax.tree.structure(
        jax.eval_shape(lambda: formal_tx.init_d_transformer(KEY, tied))
    )
    close(formal_tx.d_transformer(X_D, params, tied), formal_tx.d_transformer(X_D, params.replace(W_u=params.W_e), D))


def test_D09_the_exact_gelu():
    """x Φ(x) as in eq. (5), where GPT-2 and `jax.nn.gelu` approximate it by a tanh."""
    x = jnp.linspace(-4, 4, 33)
    close(gelu(x), [t * (1 + math.erf(t / math.sqrt(2))) / 2 for t in x.tolist()], 1e-6)
    assert abs(gelu(x) - jax.nn.gelu(x)).max() > 1e-4


def test_D10_bad_values_out_of_sight():
    """Under `jit` nothing can raise: a bad id or length gives nan, and a token that cannot be drawn is -1."""
    assert np.isnan(jax.jit(lambda v: formal_tx.token_embedding(v, theta("d").W_e))(99)).all()
    infer = jax.jit(lambda x: formal_tx.d_inference(x, theta("d"), D, length=2, key=KEY))
    np.testing.assert_array_equal(infer(np.array([9, 99])), [-1, -1])


def test_D11_a_key_for_each_position():
    """The token at position t is drawn with `fold_in(key, t)`: a + b tokens are a, appended, and then b."""
    y = formal_tx.d_inference([9, 1], theta("d"), D, length=3, key=KEY)
    for a in (1, 2):
        first = formal_tx.d_inference([9, 1], theta("d"), D, length=a, key=KEY)
        rest = formal_tx.d_inference([9, 1, *first.tolist()], theta("d"), D, length=3 - a, key=KEY)
        np.testing.assert_array_equal(np.concatenate([first, rest]), y)


def test_D12_how_a_token_is_drawn():
    """From q ∝ p^(1/τ), as argmax(logits / τ + Gumbel noise): no p is raised to a power, and none underflows."""
    logits, tau = jnp.asarray(normal(11)), 0.5
    q = jax.nn.softmax(logits) ** (1 / tau)
    tokens = jax.vmap(draw, (None, None, 0))(logits, tau, jax.random.split(KEY, 20_000))
    close(np.bincount(tokens, minlength=11) / 20_000, q / q.sum(), 0.02)


def test_D13_the_past_is_not_computed_again():
    """A cache of keys and values gives what line 3 of Algorithm 14, the whole sequence again, would give."""
    p = reaped(lambda: formal_tx.d_inference(X_D, theta("d"), D, length=1, key=KEY))["4.p"]
    close(p[0], formal_tx.d_transformer(X_D, theta("d"), D)[-1])


def test_D14_masks_drawn_anew():
    """For epoch i and update n from `fold_in(fold_in(key, i), n)`."""
    x, params = np.array([[9, 1, 2, 3]]), theta("e")
    options = {"epochs": 1, "optimizer": optax.sgd(0.1), "mask_probability": 0.5, "key": KEY}
    x_tilde = mask_tokens(jax.random.fold_in(jax.random.fold_in(KEY, 0), 0), x[0], E, 0.5)[0]
    assert 0 < (x_tilde == E.mask_token).sum() < 4
    expected = params.W_u - 0.1 * jax.grad(e_loss)(params, x_tilde, x[0], E).W_u
    close(formal_tx.e_training(x, params, E, **options).W_u, expected)


def test_D15_stacked_heads_and_layers():
    """Heads lie on a leading axis H and layers on a leading axis L; the pseudocode has lists of them."""
    params = theta("ed")
    assert params.decoder.self_attention.heads.W_q.shape == (ED.L_dec, ED.H, ED.d_attn, ED.d_e)
    assert len(to_paper(params).decoder) == ED.L_dec
    assert len(to_paper(params).decoder[0].self_attention.heads) == ED.H


def test_D16_leading_axes():
    """Of any number, before those of the paper: each function does to all what it does to one."""
    x = np.array([[[9, 1, 2], [9, 3, 4]]])
    P = formal_tx.d_transformer(x, theta("d"), D)
    assert P.shape == (1, 2, 3, 11)
    close(P[0, 1], formal_tx.d_transformer(x[0, 1], theta("d"), D))


def test_D17_a_softmax_that_does_not_overflow():
    """The largest score is taken off before exp, in both editions: the quotient is the same."""
    head = formal_tx.init_attention(KEY, d_x=2, d_z=2, d_attn=5, d_out=7)
    e, context = 1e4 * normal(2), normal(3, 2)
    v_tilde = formal_tx.basic_single_query_attention(e, context, head)
    assert np.isfinite(v_tilde).all()
    close(v_tilde, algorithms.basic_single_query_attention(e, list(context), to_paper(head)), 1e-4)


def test_D18_what_follows_the_end():
    """A batch of predictions has one length, l_max + 1: what follows the first eos_token is eos_token."""
    bos, eos = ED.bos_token, ED.eos_token
    np.testing.assert_array_equal(formal_tx.ed_inference(Z, always(eos), ED, key=KEY), [bos, eos])
    batch = formal_tx.ed_inference(np.stack([Z, Z]), always(eos), ED, key=KEY)
    np.testing.assert_array_equal(batch, [[bos, *[eos] * 5]] * 2)


def test_D19_initial_parameters():
    """The paper has no rule for θ. Here every norm starts as the identity, and every bias at 0."""
    params = jax.tree.map(np.asarray, theta("d"))
    for path, W in jax.tree_util.tree_leaves_with_path(params):
        name = jax.tree_util.keystr(path, simple=True, separator=".").rpartition(".")[2]
        if name.startswith(("b_", "beta")):
            assert (W == 0).all()
        elif name.startswith("gamma"):
            assert (W == 1).all()
        else:
            assert len(np.unique(W)) == W.size


# The document


def test_every_line_of_the_document_has_its_test():
    """The tests that `docs/errata.md` names are those of this file, and E1 to E30 are all there."""
    document = (Path(__file__).parents[1] / "docs" / "errata.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_[ED]\d\d_\w+)`", document)
    here = {name for name in globals() if re.match(r"test_[ED]\d\d_", name)}
    assert set(named) == here
    rows = re.findall(r"^\| ([ED]\d+) \|", document, flags=re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert rows == [f"E{i}" for i in range(1, 31)] + [f"D{i}" for i in range(1, len(rows) - 29)]
    for row in re.findall(r"^\| [ED]\d+ \|.*$", document, flags=re.MULTILINE):
        number = row.split("|")[1].strip()
        test = re.search(r"`test_([ED])(\d\d)_\w+` \|$", row)
        assert row.endswith("| — |") or (test and f"{test[1]}{int(test[2])}" == number), row
