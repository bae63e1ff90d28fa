"""Every encoding in every architecture: it runs, it trains, and what is true of it by itself is true of the model."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import masks
from formal_tx.architectures import (
    d_layers,
    d_transformer_logits,
    decode,
    e_embed,
    e_layers,
    e_transformer_logits,
    ed_transformer_logits,
    encode,
    logits_of,
    self_attend,
)
from formal_tx.attention import mh_attention
from formal_tx.losses import d_loss, e_loss, ed_loss
from formal_tx.positional import interleaved_sinusoids
from formal_tx.positional.learnable_sinusoids import learnable_sinusoids
from formal_tx.tagging import reap

from .encodings import (
    ENCODINGS,
    L_MAX,
    RELATIVE,
    TABLES,
    L,
    close,
    d_model,
    e_model,
    ed_model,
    network,
    tokens,
    with_table,
)

X, Z = tokens(1), tokens(2, 5)
ORDER = jnp.array([3, 0, 6, 1, 5, 2, 4])
ARCHITECTURES = ["decoder", "encoder", "encoder-decoder"]
quickly = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""Each program runs once or twice: most of the time would go into making it fast."""


def named(names, *, slow):
    """The encodings, of which some are so like another one that they are tested where there is time."""
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in names]


LIKE_ANOTHER = {"learned", "rotary neighbours"}
TABLES_, RELATIVE_, ORDERED = (named(names, slow=LIKE_ANOTHER) for names in (TABLES, RELATIVE, [*TABLES, *RELATIVE]))
EVERY = named(ENCODINGS, slow=LIKE_ANOTHER)


def differ(a, b):
    assert np.abs(np.asarray(a) - np.asarray(b)).max() > 1e-4  # far from what rounding does in double precision


def logits_and_loss(architecture, name):
    """The model's logits and its loss as functions of its parameters, and these."""
    if architecture == "decoder":
        hp, params = d_model(name)
        return partial(_d_logits, hp=hp), lambda params: d_loss(params, X, hp, mean=True), params
    if architecture == "encoder":
        hp, params = e_model(name)
        blanks = X.at[2].set(hp.mask_token).at[5].set(hp.mask_token)
        return partial(_e_logits, hp=hp), lambda params: e_loss(params, blanks, X, hp, mean=True), params
    hp, params = ed_model(name)
    return partial(_ed_logits, hp=hp), lambda params: ed_loss(params, Z, X, hp, mean=True), params


def _d_logits(params, hp):
    return d_transformer_logits(X, params, hp)


def _e_logits(params, hp):
    return e_transformer_logits(X, params, hp)


def _ed_logits(params, hp):
    return ed_transformer_logits(Z, X, params, hp)


QUICK_TO_TRAIN = {("LSPE", a) for a in ARCHITECTURES} | {
    (name, "decoder") for name in ("rotary", "ALiBi", "T5", "none")
}
TRAINED = [
    pytest.param(name, a, marks=() if (name, a) in QUICK_TO_TRAIN else pytest.mark.slow)
    for name in ENCODINGS
    for a in ARCHITECTURES
]


@pytest.mark.parametrize(("name", "architecture"), TRAINED)
def test_a_step_of_training_helps(name, architecture):
    _, loss, params = logits_and_loss(architecture, name)
    theta, step = (params, network(name)), 1e-4  # so short that the slope at its start is what it is
    of = quickly(jax.value_and_grad(lambda theta: loss(with_table(*theta))))
    before, gradient = of(theta)
    after, _ = of(jax.tree.map(lambda W, G: W - step * G, theta, gradient))
    assert np.isfinite(before)
    assert all(np.isfinite(G).all() for G in jax.tree.leaves(gradient))
    assert after < before
    learned = {
        "LSPE": [gradient[1]],
        "learned": [gradient[0].W_p],
        "T5": [getattr(gradient[0], W_r, None) for W_r in ("W_r", "W_rz", "W_rx")],
    }
    for G in jax.tree.leaves(learned.get(name)):
        assert np.abs(G).max() > 0, "what positions are made of is learned"


@cache
def whole(architecture, name):
    """The logits of the architecture itself, its embeddings by their names, and its parameters."""
    run, _, params = logits_and_loss(architecture, name)
    params = with_table(params, network(name))

    def logits_and_embeddings(params):
        logits, lines = reap(run)(params)
        embedded = {path.rpartition(".")[2]: value for path, value in lines.items()}
        return logits, {name: embedded[name] for name in ("e", "e_z", "e_x") if name in embedded}

    return *quickly(logits_and_embeddings)(params), params


# Tables: row t is added to token t, once.


def rows_of(name, params):
    """The table by hand."""
    if name == "sinusoids":
        return interleaved_sinusoids(L_MAX, params.W_e.shape[-1])
    return learnable_sinusoids(jnp.arange(L_MAX), network(name)) if name == "LSPE" else params.W_p


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", TABLES_)
def test_row_t_of_a_table_is_added_to_token_t(name, architecture):
    _, embedded, params = whole(architecture, name)
    table = rows_of(name, params)
    assert len(embedded) == 1 + (architecture == "encoder-decoder")
    for variable, found in embedded.items():
        ids = Z if variable == "e_z" else X
        close(found, params.W_e[ids] + table[: len(ids)])


# The same models with positions that are given.


@cache
def _decoder(name, L):
    hp, params = d_model(name, L)
    params = with_table(params, network(name))

    @quickly
    def run(x, t):
        attend = self_attend(masks.causal, hp.attending, params.W_r, t)
        return logits_of(d_layers(x, params, hp, attend, positions=t)[0], params, hp)

    return run


@cache
def _encoder(name):
    hp, params = e_model(name)
    params = with_table(params, network(name))

    @quickly
    def run(x, t):
        e = params.W_e[x] + (jnp.asarray(rows_of(name, params))[t] if name in TABLES else 0)
        return e_layers(e, params, hp, masks.full, t)

    return run


@cache
def _encoder_decoder(name):
    hp, params = ed_model(name)
    params = with_table(params, network(name))

    @quickly
    def run(z, t):
        encoding = encode(z, params, hp)

        def cross_attend(X, W, state, window):
            return mh_attention(X, encoding, W, masks.full, hp.cross_attending), state

        attend = self_attend(masks.causal, hp.decoder_attending, params.W_rx, t)
        return logits_of(decode(X, params, hp, attend, cross_attend, positions=t)[0], params, hp)

    return run


def at(shift):
    return jnp.arange(L) + shift


def d_logits(name, shift=0, order=None, L=2):
    """A decoder's logits of tokens that stand elsewhere, or in another order."""
    return _decoder(name, L)(X if order is None else X[order], at(shift))


def e_states(name, t, order=None):
    """An encoder's encoding of tokens in an order, each with the position that is given."""
    return _encoder(name)(X if order is None else X[order], t)


def ed_logits(name, z=Z, shift=0):
    """An encoder-decoder's logits; the decoder's tokens stand elsewhere."""
    return _encoder_decoder(name)(z, at(shift))


@pytest.mark.parametrize("name", named(ENCODINGS, slow=LIKE_ANOTHER | {"ALiBi", "T5", "none"}))
def test_positions_are_0_1_2_unless_they_are_given(name):
    close(d_logits(name), whole("decoder", name)[0])
    close(ed_logits(name), whole("encoder-decoder", name)[0])
    hp, params = e_model(name)
    params = with_table(params, network(name))
    whole_encoder = quickly(lambda params: e_layers(e_embed(X, params, hp), params, hp))
    close(e_states(name, at(0)), whole_encoder(params))


# Rotations and scores: what matters is the difference of two positions.


@pytest.mark.parametrize("name", [*RELATIVE_, "none"])
def test_a_text_that_is_moved_as_a_whole_stays_the_same(name):
    close(d_logits(name, 1000), d_logits(name))
    close(e_states(name, at(1000)), e_states(name, at(0)))
    close(ed_logits(name, shift=1000), ed_logits(name))


@pytest.mark.parametrize("name", TABLES_)
def test_a_table_tells_where_a_text_begins(name):
    differ(d_logits(name, 3), d_logits(name))
    differ(e_states(name, at(3)), e_states(name, at(0)))
    differ(ed_logits(name, shift=3), ed_logits(name))


# Order


@pytest.mark.parametrize("name", EVERY)
def test_an_encoder_sees_positions_and_not_the_order_of_the_rows(name):
    """f(P X, P t) = P f(X, t): with their positions tokens may stand anywhere."""
    close(e_states(name, ORDER, ORDER), e_states(name, jnp.arange(L))[ORDER])


@pytest.mark.parametrize("name", ORDERED)
def test_an_encoder_with_positions_sees_the_order(name):
    differ(e_states(name, at(0), ORDER), e_states(name, at(0))[ORDER])
    differ(ed_logits(name, Z[jnp.array([2, 0, 1, 4, 3])]), ed_logits(name, Z))


def test_an_encoder_with_alibi_knows_how_far_and_not_on_which_side():
    """Its penalty is for the distance: a text and its mirror image are alike."""
    mirrored = jnp.arange(L)[::-1]
    close(e_states("ALiBi", at(0), mirrored), e_states("ALiBi", at(0))[mirrored])
    close(ed_logits("ALiBi", Z[::-1]), ed_logits("ALiBi", Z))


def test_an_encoder_without_positions_sees_a_bag_of_tokens():
    close(e_states("none", at(0), ORDER), e_states("none", at(0))[ORDER])
    close(ed_logits("none", Z[::-1]), ed_logits("none", Z))


_EARLIER = jnp.array([3, 0, 5, 1, 4, 2, 6])
"""The tokens before the last one in another order."""


def test_the_last_row_of_one_causal_layer_without_positions_sees_a_bag_too():
    one_layer = partial(d_logits, "none", L=1)
    close(one_layer(order=_EARLIER)[-1], one_layer()[-1])
    differ(one_layer(order=_EARLIER)[_EARLIER], one_layer())  # the others do not: a causal mask is an order


def test_two_causal_layers_without_positions_see_the_order():
    differ(d_logits("none", order=_EARLIER)[-1], d_logits("none")[-1])


@pytest.mark.parametrize("name", named([*TABLES, *RELATIVE], slow=ENCODINGS.keys() - {"LSPE", "rotary"}))
def test_with_positions_one_causal_layer_sees_the_order(name):
    differ(d_logits(name, order=_EARLIER, L=1)[-1], d_logits(name, L=1)[-1])
