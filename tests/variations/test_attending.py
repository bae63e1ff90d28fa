"""What is true of grouped queries, QK-norm and windows, whatever the weights are."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import ETransformerHyperparameters, masks
from formal_tx.architectures import e_transformer_logits
from formal_tx.attending import Attending
from formal_tx.attention import mh_attention
from formal_tx.crosscheck.variations.architectures import random_parameters
from formal_tx.hyperparameters import NO_BIASES
from formal_tx.normalization import rms_norm
from formal_tx.positional import Alibi, RelativeBuckets, Rotary, sinusoid_halves
from formal_tx.scores import QKNorm, SoftCap

from .decoders import WIDTHS, L, close, decoder, logits, normal

# Grouped queries


@pytest.mark.parametrize("H_kv", [1, 2])
def test_grouped_queries_are_heads_whose_keys_and_values_are_repeated(H_kv):
    hp, params, x = decoder(H_kv=H_kv, table=None, rotate=Rotary(), score=Alibi())
    heads = params.layers.attention.heads
    repeated = {n: jnp.repeat(getattr(heads, n), 4 // H_kv, axis=1) for n in ("W_k", "b_k", "W_v", "b_v")}
    attention = params.layers.attention.replace(heads=heads.replace(**repeated))
    full = params.replace(layers=params.layers.replace(attention=attention))
    close(logits(replace(hp, H_kv=4), full, x), logits(hp, params, x))


# QK-norm


@pytest.mark.parametrize("all_heads", [False, True])
def test_normalised_queries_have_a_mean_square_of_one_whatever_their_size(all_heads):
    Q = normal(0, 4, 5, 6)
    gamma = jnp.ones((4, 6) if all_heads else 6)
    norm = QKNorm(0.0, all_heads)
    close(jnp.mean(norm(Q, gamma) ** 2, axis=(0, 2) if all_heads else -1), 1.0)
    close(norm(1000 * Q, gamma), norm(Q, gamma))


# Windows, and texts that share a sequence


def test_a_window_sees_that_many_tokens_and_layers_take_turns():
    hp, params, x = decoder(windows=(3,), L=1)
    far, near = x.at[0].set((x[0] + 1) % hp.N_V), x.at[4].set((x[4] + 1) % hp.N_V)
    base = logits(hp, params, x)
    np.testing.assert_array_equal(base[3:], logits(hp, params, far)[3:])
    assert (np.abs(base - logits(hp, params, far))[:3].max(axis=-1) > 1e-6).all()
    assert (np.abs(base - logits(hp, params, near))[4:7].max(axis=-1) > 1e-6).all()
    assert hp.windows_of(1).tolist() == [3]
    assert replace(hp, windows=(3, None)).windows_of(5)[[0, 2, 4]].tolist() == [3, 3, 3]
    assert replace(hp, windows=(None, None)).windows_of(5) is None


def test_a_window_as_wide_as_the_text_is_none():
    hp, params, x = decoder(windows=(L,))
    close(logits(hp, params, x), logits(replace(hp, windows=(None,)), params, x))


VARIED = [
    pytest.param({"table": None, "rotate": Rotary(), "score": Alibi()}, id="rotary and alibi"),
    pytest.param({"windows": (2,), "normalise_qk": QKNorm(), "H_kv": 2}, id="window"),
    pytest.param({"table": sinusoid_halves, "score": RelativeBuckets(6, 5)}, id="buckets", marks=pytest.mark.slow),
    pytest.param(
        {"embedding_norm": True, "embedding_scale": 3.0, "score": SoftCap(1.0)}, id="norms", marks=pytest.mark.slow
    ),
]


@pytest.mark.parametrize("variations", VARIED)
def test_texts_that_share_a_sequence_do_not_see_each_other(variations):
    hp, params, x = decoder(**variations)
    shared = logits(hp, params, x, segments=jnp.array([0, 0, 0, 1, 1, 1, 1]))
    close(shared[:3], logits(hp, params, x[:3]))
    close(shared[3:], logits(hp, params, x[3:]))


@pytest.mark.parametrize("variations", VARIED)
def test_a_padded_batch_gives_what_its_sequences_give_alone(variations):
    hp, params, x = decoder(**variations)
    batch = jnp.stack([x, jnp.flip(x)])
    together = logits(hp, params, batch, lengths=jnp.array([7, 4]))
    close(together[0], logits(hp, params, x))
    close(together[1, :4], logits(hp, params, batch[1, :4]))


def test_an_encoder_without_positions_does_not_see_the_order():
    variations = {"table": None, "biases": NO_BIASES, "norm": rms_norm}
    hp = ETransformerHyperparameters(**WIDTHS, **variations)
    rng = np.random.default_rng(0)
    params, x = jax.tree.map(jnp.asarray, random_parameters(rng, hp)), jnp.asarray(rng.integers(11, size=L))
    order = rng.permutation(L)
    close(e_transformer_logits(x[order], params, hp), e_transformer_logits(x, params, hp)[order])
    turning = replace(hp, rotate=Rotary())
    moved = e_transformer_logits(x[order], params, turning) - e_transformer_logits(x, params, turning)[order]
    assert np.abs(moved).max() > 1e-3


def test_positions_that_are_given_are_those_that_count():
    """Attention whose tokens are handed over in another order, with their positions, is the same."""
    _, params, _ = decoder(H_kv=2)
    W = jax.tree.map(lambda W: W[0], params.layers.attention)
    X, t, order = normal(0, L, 8), jnp.arange(L), np.random.default_rng(0).permutation(L)
    attending = Attending(rotate=Rotary(), score=Alibi())
    see = masks.full
    given_order = mh_attention(X[order], X[order], W, see, attending, t[order], t[order])
    close(given_order, mh_attention(X, X, W, see, attending)[order])
