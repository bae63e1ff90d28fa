"""What practice adds to the printed algorithms: texts in one sequence, dropout, smoothing, precision, recomputation."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import formal_tx
from formal_tx.architectures import e_transformer_logits, ed_transformer_logits
from formal_tx.losses import d_loss, e_loss, ed_loss
from formal_tx.masking import mask_tokens, mask_tokens_as_bert
from formal_tx.practice import Dropout, Practice

from . import strategies
from .strategies import close, differ, random_model, tokens

# Dropout may leave a token nothing but zeros, whose normalisation as printed is 0/0.
D, E, ED = (replace(hp, epsilon=1e-5) for hp in (strategies.D, strategies.E, strategies.ED))
KEY = jax.random.key(7)
L = 5
SEGMENTS = np.array([0, 0, 1, 1, 1])  # two texts, of 2 and of 3 tokens
PARTS = (slice(0, 2), slice(2, 5))


def logits(kind, x, params, **options):
    function = {"d": formal_tx.d_transformer_logits, "e": e_transformer_logits}[kind]
    return function(x, params, {"d": D, "e": E}[kind], **options)


@pytest.mark.parametrize(("kind", "hp"), [("d", D), ("e", E)])
class TestSegments:
    def test_each_text_is_as_if_alone(self, kind, hp):
        x, params = tokens(0, L), random_model(0, hp)
        together = logits(kind, x, params, segments=SEGMENTS)
        for part in PARTS:
            close(together[part], logits(kind, x[part], params))
        differ(together[2:], logits(kind, x, params)[2:])

    def test_numbers_do_not_matter_but_borders_do(self, kind, hp):
        x, params = tokens(1, 3, L), random_model(1, hp)
        segments = np.stack([SEGMENTS, SEGMENTS * 3 + 4, np.full(L, 9)])
        together = logits(kind, x, params, segments=segments)
        close(together[0], logits(kind, x[0], params, segments=SEGMENTS))
        close(together[1], logits(kind, x[1], params, segments=SEGMENTS))
        close(together[2], logits(kind, x[2], params))

    def test_with_padding(self, kind, hp):
        x, params = tokens(2, L), random_model(2, hp)
        together = logits(kind, x, params, lengths=np.array(4), segments=SEGMENTS)
        close(together[2:4], logits(kind, x[2:4], params))

    def test_numbers_that_go_down(self, kind, hp):
        x, params, back = tokens(0, L), random_model(0, hp), np.array([0, 1, 1, 0, 0])
        with pytest.raises(ValueError, match=r"segments go down at index \[3\]"):
            logits(kind, x, params, segments=back)
        traced = jax.jit(lambda segments: logits(kind, x, params, segments=segments))(back)
        assert np.isnan(traced).all()

    def test_other_bad_segments(self, kind, hp):
        x, params = tokens(0, L), random_model(0, hp)
        with pytest.raises(ValueError, match=r"segments have shape \(4,\), expected \(5,\): one for each token"):
            logits(kind, x, params, segments=SEGMENTS[:4])
        with pytest.raises(TypeError, match="segments have dtype float64, expected integers"):
            logits(kind, x, params, segments=SEGMENTS.astype(float))


def test_the_loss_of_texts_together_is_the_sum():
    x, params = tokens(3, L), random_model(3, D)
    close(d_loss(params, x, D, segments=SEGMENTS), sum(d_loss(params, x[part], D) for part in PARTS))
    mean = d_loss(params, x, D, segments=SEGMENTS, mean=True)
    close(mean, d_loss(params, x, D, segments=SEGMENTS) / 3)  # 1 + 2 tokens follow another

    x, params = np.array(x), random_model(3, E)
    x_tilde = np.where([True, False, False, True, False], E.mask_token, x)
    separate = sum(e_loss(params, x_tilde[part], x[part], E) for part in PARTS)
    close(e_loss(params, x_tilde, x, E, segments=SEGMENTS), separate)


def test_training_on_texts_together():
    """One update of Algorithm 13 on a sequence of two texts is gradient descent on the sum of their losses."""
    x, params = tokens(4, 1, L), random_model(4, D)
    trained = formal_tx.d_training(x, params, D, epochs=1, optimizer=optax.sgd(0.1), segments=SEGMENTS[None])
    gradient = jax.grad(lambda params: sum(d_loss(params, x[0, part], D) for part in PARTS))(params)
    close(trained.W_u, params.W_u - 0.1 * gradient.W_u)


def losses(practice):
    """The three losses of one model each, as functions of the parameters."""
    z, x = tokens(5, 3, L), tokens(6, 3, L)
    x_tilde = np.where(np.arange(L) % 2 == 0, E.mask_token, x)
    return {
        "d": (random_model(5, D), lambda params: d_loss(params, x, D, mean=True, practice=practice)),
        "e": (random_model(5, E), lambda params: e_loss(params, x_tilde, x, E, mean=True, practice=practice)),
        "ed": (random_model(5, ED), lambda params: ed_loss(params, z, x, ED, mean=True, practice=practice)),
    }


EVERY = pytest.mark.parametrize("kind", ["d", "e", "ed"])


@EVERY
class TestDropout:
    def test_none_without_a_key_or_a_rate(self, kind):
        params, plain = losses(Practice())[kind]
        for practice in (Practice(dropout=0.5), Practice(key=KEY)):
            assert losses(practice)[kind][1](params) == plain(params)

    def test_the_key_decides(self, kind):
        def at(n):
            params, loss = losses(Practice(key=KEY, dropout=0.3).at(n))[kind]
            return float(loss(params))

        assert at(0) == at(0)
        assert len({at(n) for n in range(4)}) == 4

    def test_every_sublayer_has_one(self, kind):
        """With nearly everything dropped, what the sub-layers of a layer do does not matter any more."""
        params, loss = losses(Practice(key=KEY, dropout=1 - 2**-16))[kind]
        gradient = jax.grad(loss)(params)
        stacks = {"d": ["layers"], "e": ["layers"], "ed": ["encoder", "decoder"]}[kind]
        for stack in stacks:
            for path, g in jax.tree_util.tree_leaves_with_path(getattr(gradient, stack)):
                if path[-1].name.startswith("W_"):
                    assert not g.any(), path


def test_dropout_keeps_the_mean_and_the_rate():
    X = jnp.ones((400, 500))
    dropped = Dropout(KEY, 0.3)(6, X)
    # Of 200,000 features 0.3 ± 0.001 are dropped; five standard deviations.
    assert abs((dropped == 0).mean() - 0.3) < 0.005
    close(dropped[dropped != 0], 1 / 0.7)
    assert abs(dropped.mean() - 1) < 0.01
    assert (Dropout(KEY, 0.3)(8, X) != dropped).any(), "another line drops others"
    layers = Dropout(KEY, 0.3).by_layer(3)
    masks = jax.vmap(lambda drop: drop(6, X))(layers)
    assert not (masks[0] == masks[1]).all()
    assert not (masks[1] == masks[2]).all()


@EVERY
def test_label_smoothing(kind):
    """(1 - ε) times the loss, plus ε times that of a target drawn from the whole vocabulary."""
    epsilon = 0.2
    params, plain = losses(Practice())[kind]
    smoothed = losses(Practice(label_smoothing=epsilon))[kind][1](params)
    x, z = tokens(6, 3, L), tokens(5, 3, L)
    if kind == "d":
        log_P, scored = jax.nn.log_softmax(formal_tx.d_transformer_logits(x, params, D))[:, :-1], np.ones((3, L - 1))
    elif kind == "ed":
        log_P, scored = jax.nn.log_softmax(ed_transformer_logits(z, x, params, ED))[:, :-1], np.ones((3, L - 1))
    else:
        masked = np.arange(L) % 2 == 0
        x_tilde = np.where(masked, E.mask_token, x)
        log_P, scored = jax.nn.log_softmax(e_transformer_logits(x_tilde, params, E)), np.tile(masked, (3, 1))
    uniform = -(np.asarray(log_P).mean(axis=-1) * scored).sum() / scored.sum()
    close(smoothed, (1 - epsilon) * plain(params) + epsilon * uniform)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        pytest.param("d", "bfloat16", marks=pytest.mark.slow),
        pytest.param("e", "bfloat16", marks=pytest.mark.slow),
        pytest.param("ed", "bfloat16", marks=pytest.mark.slow),
        ("d", "float16"),
    ],
)
def test_lower_precision(kind, dtype):
    """The loss and the gradient stay in the type of the parameters, and are near those in full precision."""
    params, plain = losses(Practice())[kind]
    params = jax.tree.map(lambda W: W.astype(jnp.float32), params)
    value, gradient = jax.jit(jax.value_and_grad(losses(Practice(dtype=dtype))[kind][1]))(params)
    exact = jax.jit(jax.grad(plain))(params)
    assert value.dtype == jnp.float32
    # bfloat16 has 8 bits, and some ten rounded operations in a row add up to a few per cent.
    assert abs(value - plain(params)) < 0.05 * abs(plain(params))
    for g, e in zip(jax.tree.leaves(gradient), jax.tree.leaves(exact), strict=True):
        assert g.dtype == jnp.float32
        assert jnp.isfinite(g).all()
        assert jnp.linalg.norm(g - e) < 0.25 * optax.tree.norm(exact)
    assert (gradient.W_e != exact.W_e).any(), "nothing was rounded"


@pytest.mark.parametrize(
    ("kind", "remat"),
    [
        ("d", "nothing_saveable"),
        ("e", "nothing_saveable"),
        pytest.param("ed", "nothing_saveable", marks=pytest.mark.slow),
        ("d", "dots_saveable"),
        ("d", ("6.X", "8.X")),
        ("ed", ("7.Z", "18.X")),
    ],
)
def test_recomputation_changes_nothing(kind, remat):
    params, plain = losses(Practice())[kind]
    loss = losses(Practice(remat=remat))[kind][1]
    gradients = (jax.tree.leaves(jax.jit(jax.grad(f))(params)) for f in (loss, plain))
    for recomputed, stored in zip(*gradients, strict=True):
        close(recomputed, stored)


def test_recomputation_saves_memory():
    """What the compiled gradient needs besides its arguments and results, at a depth where layers count."""
    hp = formal_tx.DTransformerHyperparameters(l_max=64, L=8, H=2, d_e=32, d_mlp=128, N_V=11)
    params, x = formal_tx.init_d_transformer(KEY, hp), np.arange(4 * 64).reshape(4, 64) % 11

    def size(remat):
        loss = jax.jit(jax.grad(lambda params: d_loss(params, x, hp, practice=Practice(remat=remat))))
        return loss.lower(params).compile().memory_analysis().temp_size_in_bytes

    assert size("nothing_saveable") < 0.5 * size(None)


@EVERY
def test_the_scale_of_the_loss_cancels(kind):
    """A power of two changes no bit of a result that does not underflow."""
    case = {
        "d": (formal_tx.d_training, (tokens(6, 2, L),), D, {}),
        "e": (formal_tx.e_training, (tokens(6, 2, L),), E, {"mask_probability": 0.5, "key": KEY}),
        "ed": (formal_tx.ed_training, (tokens(5, 2, L), tokens(6, 2, L)), ED, {}),
    }
    train, data, hp, options = case[kind]
    options |= {"epochs": 1, "optimizer": optax.sgd(0.1), "history": True}
    theta, history = train(*data, random_model(6, hp), hp, **options)
    scaled, scaled_history = train(*data, random_model(6, hp), hp, practice=Practice(loss_scale=1024.0), **options)
    for a, b in zip(
        jax.tree.leaves((theta, history.loss)), jax.tree.leaves((scaled, scaled_history.loss)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_each_update_drops_others():
    """The same sequence twice, and a learning rate of 0: the losses differ by what was dropped, as `at` says."""
    x, params = np.tile(tokens(7, 1, L), (2, 1)), random_model(7, D)
    practice = Practice(key=KEY, dropout=0.3)
    options = {"epochs": 2, "optimizer": optax.sgd(0.0), "history": True, "practice": practice}
    _, history = formal_tx.d_training(x, params, D, **options)
    expected = [[d_loss(params, x[0], D, practice=practice.at(i, n)) for n in range(2)] for i in range(2)]
    close(history.loss, np.array(expected))
    assert len(set(np.ravel(history.loss).tolist())) == 4


class TestBertMasking:
    """80 % masked, 10 % another token, 10 % as it is, of the chosen; special tokens are not chosen."""

    def test_the_shares(self):
        N_V = E.N_V
        x = np.random.default_rng(0).integers(0, N_V, (1000, 200))
        x_tilde, chosen = map(np.asarray, mask_tokens_as_bert(KEY, x, E, 0.15))
        ordinary = x < E.mask_token
        assert not chosen[~ordinary].any()
        assert (x_tilde == x)[~chosen].all()
        masked = x_tilde == E.mask_token
        random = chosen & ~masked
        assert (x_tilde[random] < E.mask_token).all()
        # Some 20,000 are chosen: five standard deviations are 0.014.
        assert abs(chosen[ordinary].mean() - 0.15) < 0.005
        assert abs(masked[chosen].mean() - 0.8) < 0.014
        stays = 0.1 + 0.1 / (N_V - 3)  # a random token may be the same
        assert abs((x_tilde == x)[chosen].mean() - stays) < 0.014

    def test_all_the_chosen_are_scored(self):
        x, params = tokens(8, 2, L), random_model(8, E)
        chosen = np.array([[True, False, True, False, False], [False, True, False, False, True]])
        log_P = jax.nn.log_softmax(e_transformer_logits(x, params, E))
        expected = -np.take_along_axis(np.asarray(log_P), x[..., None], -1)[..., 0][chosen].sum()
        close(e_loss(params, x, x, E, chosen=chosen), expected)

    def test_training_with_it(self):
        x, params = tokens(9, 1, L), random_model(9, E)
        options = {"epochs": 1, "optimizer": optax.sgd(0.1), "mask_probability": 0.9, "key": KEY}
        trained = formal_tx.e_training(x, params, E, masking=mask_tokens_as_bert, **options)
        x_tilde, chosen = mask_tokens_as_bert(jax.random.fold_in(jax.random.fold_in(KEY, 0), 0), x[0], E, 0.9)
        gradient = jax.grad(lambda params: e_loss(params, x_tilde, x[0], E, chosen=chosen))(params)
        close(trained.W_u, params.W_u - 0.1 * gradient.W_u)
        differ(trained.W_u, formal_tx.e_training(x, params, E, masking=mask_tokens, **options).W_u)


@pytest.mark.parametrize(
    ("practice", "error", "message"),
    [
        (None, TypeError, "practice is of type NoneType, expected Practice"),
        (Practice(dropout=1.0), ValueError, r"practice.dropout is 1.0, expected a number in \[0, 1\)"),
        (
            Practice(label_smoothing=-0.1),
            ValueError,
            "practice.label_smoothing is -0.1, expected a number in",
        ),
        (Practice(dtype="int8"), ValueError, "practice.dtype is 'int8', expected None or one of float32, bf"),
        (
            Practice(remat="everything"),
            ValueError,
            "practice.remat is 'everything', expected one of",
        ),
        (Practice(loss_scale=0.0), ValueError, "practice.loss_scale is 0.0, expected a number greater than 0"),
        (Practice(key=3), TypeError, "key is int, expected a key"),
    ],
    ids=lambda value: None,
)
@EVERY
def test_bad_practice(kind, practice, error, message):
    params, loss = losses(practice)[kind]
    with pytest.raises(error, match=f"{kind}_loss: {message}"):
        loss(params)


def test_bad_masking():
    x, params = tokens(9, 1, L), random_model(9, E)
    options = {"epochs": 1, "optimizer": optax.sgd(0.1), "mask_probability": 0.5, "key": KEY}
    with pytest.raises(TypeError, match="e_training: masking is 'bert', expected a function"):
        formal_tx.e_training(x, params, E, masking="bert", **options)
    with pytest.raises(ValueError, match=r"e_loss: chosen has shape \(2,\) and dtype bool, expected booleans of shape"):
        e_loss(params, x, x, E, chosen=np.array([True, False]))
