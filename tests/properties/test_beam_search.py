"""Beam search: against every text there is, against greedy decoding, against the pseudocode, alone and in batches."""

import itertools
from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import formal_tx
from algorithms import decoding as paper
from formal_tx.inference import filters
from formal_tx.inference.beam_search import d_beam_search, ed_beam_search

from .strategies import ED, D, close, few, paper_parameters, pick, random_model, seeds, tokens

L, LENGTH = 3, 4
_SMALL = {"l_max": 8, "H": 2, "d_e": 4, "d_mlp": 5, "N_V": 4}
D4 = formal_tx.DTransformerHyperparameters(**_SMALL, L=1)
ED4 = formal_tx.EDTransformerHyperparameters(**_SMALL, L_enc=1, L_dec=1)
ALPHAS = st.sampled_from([0.0, 0.6, 1.0, 2.0])


def d_search(x, params, hyperparameters=D, length=LENGTH, **options):
    return d_beam_search(x, params, hyperparameters, length=length, **options)


def ed_search(z, params, hyperparameters=ED, length=LENGTH, **options):
    return ed_beam_search(z, params, hyperparameters, length=length, **options)


EACH = pytest.mark.parametrize(
    ("search", "hyperparameters", "paper_search"),
    [(d_search, D, paper.d_beam_search), (ed_search, ED, paper.ed_beam_search)],
    ids=["d", "ed"],
)


def texts(found):
    """The hypotheses as lists of tokens, and their scores."""
    sequences, lengths, scores = (np.asarray(a).tolist() for a in found)
    return [y[:n] for y, n in zip(sequences, lengths, strict=True)], scores


# Against every text there is


def every_text(N_V, length):
    """All texts that end with eos_token, or have `length` tokens: padded, and their lengths."""
    whole = np.array(list(itertools.product(range(N_V), repeat=length)))
    ended = whole == N_V - 1
    lengths = np.where(ended.any(axis=1), ended.argmax(axis=1) + 1, length)
    whole[np.arange(length) >= lengths[:, None]] = N_V - 1
    whole, first = np.unique(whole, axis=0, return_index=True)
    return whole, lengths[first]


TEXTS, LENGTHS = every_text(4, 5)


def scores_of_all(logits, alpha):
    """The score of every text, from the logits (texts, 5, 4) of the whole forward pass."""
    log_p = np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), TEXTS[..., None], axis=-1)[..., 0]
    log_P = np.where(np.arange(5) < LENGTHS[:, None], log_p, 0).sum(axis=1)
    return log_P / ((5 + LENGTHS) / 6) ** alpha


def check_exhaustively(found, scores):
    """The five best that were found are the five best of all, with their scores."""
    ys, found_scores = texts(found)
    best = np.argsort(-scores)[: len(ys)]
    assert ys == [TEXTS[i, : LENGTHS[i]].tolist() for i in best]
    np.testing.assert_allclose(found_scores, scores[best], rtol=1e-12)


def forced(start):
    """What is fed to the decoder so that it scores every text after `start`."""
    return np.concatenate([np.tile(start, (len(TEXTS), 1)), TEXTS[:, :-1]], axis=1)


def test_there_are_364_texts():
    assert len(TEXTS) == sum(3**n for n in range(5)) + 3**5 == 364


@pytest.mark.parametrize("architecture", ["d", "ed"])
def test_against_exhaustive_search(architecture):
    """A vocabulary of 4, length 5, 200 random models, a beam of 4⁵."""
    rng = np.random.default_rng(0)
    lengths = set()
    for seed in range(200):
        alpha, options = float(rng.choice([0, 0.6, 1, 2])), {"length": 5, "beam": 4**5, "n_best": 5}
        if architecture == "d":
            x, params = rng.integers(0, 4, L), random_model(seed, D4)
            logits = formal_tx.d_transformer_logits(forced(x), params, D4)[:, L - 1 :]
            found = d_beam_search(x, params, D4, alpha=alpha, **options)
        else:
            z, params = rng.integers(0, 4, L), random_model(seed, ED4)
            logits = formal_tx.ed_transformer_logits(z, forced([ED4.bos_token]), params, ED4)
            found = ed_beam_search(z, params, ED4, alpha=alpha, **options)
        check_exhaustively(found, scores_of_all(logits, alpha))
        lengths.add(int(found.lengths[0]))
    assert lengths == {1, 2, 3, 4, 5}


def test_fewer_texts_than_hypotheses():
    """With two tokens there are 13 texts: they are all found, and the rest of the beam is none."""
    z, params = np.array([0, 1]), random_model(0, ED4)
    sequences, lengths, scores = (np.asarray(a) for a in ed_search(z, params, ED4, length=2, beam=40, n_best=20))
    ys = {tuple(y[:n]) for y, n in zip(sequences.tolist(), lengths, strict=True)}
    assert ys == {(3,), *((a, b) for a in range(3) for b in range(4)), ()}
    assert np.isfinite(scores[:13]).all()
    assert np.isneginf(scores[13:]).all()
    assert (lengths[13:] == 0).all()
    assert (sequences[13:] == -1).all()
    close(np.exp(scores[:13] * ((5 + lengths[:13]) / 6) ** 0.6).sum(), 1)


# Against greedy decoding and the pseudocode


@few
@given(seed=seeds, alpha=ALPHAS)
def test_a_beam_of_one_is_greedy(seed, alpha):
    params = random_model(seed, ED)
    z = tokens(seed, L)
    (y,), _ = texts(ed_search(z, params, length=ED.l_max, beam=1, alpha=alpha))
    x_hat = formal_tx.ed_inference(z, params, ED, key=jax.random.key(0), filters=filters.greedy())
    assert y == x_hat[1:].tolist()
    params = random_model(seed, D)
    (y,), _ = texts(d_search(z, params, beam=1, alpha=alpha))
    greedy = partial(formal_tx.d_inference, z, params, D, length=LENGTH, key=jax.random.key(0))
    assert y == greedy(filters=filters.greedy(), stop=(D.eos_token,)).tolist()[: len(y)]


@EACH
@few
@given(seed=seeds, alpha=ALPHAS, beam=st.sampled_from([1, 2, 3, 5]))
def test_the_editions_agree(search, hyperparameters, paper_search, seed, alpha, beam):
    x, params = tokens(seed, L), random_model(seed, hyperparameters)
    ys, scores = texts(search(x, params, beam=beam, alpha=alpha, n_best=beam))
    expected = paper_search(x.tolist(), paper_parameters(params), LENGTH, beam, alpha, beam)
    assert ys == [y for y, _ in expected]
    np.testing.assert_allclose(scores, [score for _, score in expected], rtol=1e-10)


# Batches


@EACH
@few
@given(seed=seeds)
def test_padded_batches(search, hyperparameters, paper_search, seed):
    """A right-padded batch gives what its sequences give alone, whatever the padding is."""
    name = "lengths" if search is d_search else "z_lengths"
    params, rng = random_model(seed, hyperparameters), np.random.default_rng(seed)
    x, lengths = tokens(seed, 4, L), rng.permutation([1, 2, 3, 3])
    x[np.arange(L) >= lengths[:, None]] = rng.choice([-1, 0, hyperparameters.N_V])
    batch = search(x, params, beam=3, n_best=2, **{name: lengths})
    for i in range(4):
        same(pick(batch, i), search(x[i, : lengths[i]], params, beam=3, n_best=2))


def same(found, expected):
    np.testing.assert_array_equal(found.sequences, expected.sequences)
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    close(found.scores, expected.scores)


@EACH
def test_two_axes_are_a_vmap_and_so_under_jit(search, hyperparameters, paper_search):
    x, params = tokens(0, 2, 2, L), random_model(0, hyperparameters)
    batch = search(x, params, n_best=2)
    assert batch.sequences.shape == (2, 2, 2, LENGTH)
    mapped = jax.jit(jax.vmap(lambda x, params: search(x, params, n_best=2), in_axes=(0, None)))(x, params)
    same(mapped, batch)


@EACH
def test_what_stands_after_the_end_is_eos_token(search, hyperparameters, paper_search):
    x, params = tokens(0, 8, L), random_model(5, hyperparameters)
    found = search(x, params, beam=5, n_best=5)
    sequences, lengths = np.asarray(found.sequences), np.asarray(found.lengths)
    assert sequences.shape == (8, 5, LENGTH)
    after = np.arange(LENGTH) >= lengths[..., None]
    assert (sequences[after] == hyperparameters.eos_token).all()
    last = np.take_along_axis(sequences, lengths[..., None] - 1, axis=-1)[..., 0]
    assert ((last == hyperparameters.eos_token) | (lengths == LENGTH)).all()
    assert (np.diff(np.asarray(found.scores), axis=-1) <= 0).all()
    assert len(set(lengths.ravel().tolist())) > 1


@EACH
def test_a_traced_id_out_of_range_finds_nothing(search, hyperparameters, paper_search):
    params = random_model(0, hyperparameters)
    found = jax.jit(lambda x: search(x, params, n_best=2))(np.array([[1, 2, 3], [1, 99, 3], [1, 2, -1]]))
    assert np.isfinite(found.scores[0]).all()
    assert np.isnan(found.scores[1:]).all()
    assert (found.sequences[1:] == -1).all()
    assert (found.lengths[1:] == 0).all()
