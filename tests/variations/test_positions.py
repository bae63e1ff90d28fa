"""What is true of rotations and of scores of distances, whatever the weights are."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formal_tx.positional import Alibi, LinearScaling, RelativeBuckets, Rotary, YaRNScaling
from formal_tx.positional.alibi import slopes
from formal_tx.scores import InTurn, SoftCap

from .decoders import close, decoder, few, logits, normal, seeds

# Rotary positions

ROTARIES = [Rotary(), Rotary(neighbours=True), Rotary(size=4), Rotary(scaling=YaRNScaling(4.0, 64)), Rotary(base=3.0)]


@pytest.mark.parametrize("rotary", ROTARIES, ids=["halves", "neighbours", "partial", "YaRN", "another base"])
@few
@given(seed=seeds, shift=st.integers(0, 5000))
def test_scores_depend_on_differences_of_positions_alone(rotary, seed, shift):
    Q, K, t = normal(seed, 5, 6), normal(seed + 1, 5, 6), jnp.arange(5)
    S, shifted = (rotary(Q, t + s) @ rotary(K, t + s).T for s in (0, shift))
    close(S, shifted)


@few
@given(seed=seeds, t=st.integers(0, 100_000), neighbours=st.booleans())
def test_turning_keeps_lengths(seed, t, neighbours):
    X, rotary = normal(seed, 3, 8), Rotary(neighbours=neighbours)
    turned = rotary(X, jnp.full(3, t))
    close(jnp.linalg.norm(turned, axis=-1), jnp.linalg.norm(X, axis=-1))


@pytest.mark.parametrize("rotary", [Rotary(), Rotary(neighbours=True), Rotary(size=4)])
def test_position_0_does_not_turn_and_the_rest_of_a_head_never_does(rotary):
    X = normal(0, 4, 6)
    np.testing.assert_array_equal(rotary(X, jnp.zeros(4, int)), X)
    if rotary.size:
        np.testing.assert_array_equal(rotary(X, jnp.arange(4))[:, 4:], X[:, 4:])


@pytest.mark.parametrize("neighbours", [False, True])
def test_a_turn_by_hand(neighbours):
    turned = Rotary(neighbours=neighbours)(jnp.array([[1.0, 0.0, 0.0, 0.0]]), jnp.array([1]))
    other = 1 if neighbours else 2
    expected = np.zeros(4)
    expected[[0, other]] = np.cos(1), np.sin(1)
    close(turned[0], expected)


def test_halves_are_neighbours_of_permuted_features():
    X, t = normal(0, 5, 8), jnp.arange(5)
    order = np.r_[0:8:2, 1:8:2]
    close(Rotary()(X[:, order], t), Rotary(neighbours=True)(X, t)[:, order], rtol=0, atol=1e-15)


def test_a_model_with_neighbours_is_one_with_halves_whose_queries_and_keys_are_permuted():
    hp, params, x = decoder(table=None, rotate=Rotary(neighbours=True), H_kv=2)
    order = np.r_[0:6:2, 1:6:2]
    heads = params.layers.attention.heads
    permuted = {name: getattr(heads, name)[:, :, order] for name in ("W_q", "b_q", "W_k", "b_k")}
    attention = params.layers.attention.replace(heads=heads.replace(**permuted))
    halves = params.replace(layers=params.layers.replace(attention=attention))
    close(logits(replace(hp, rotate=Rotary()), halves, x), logits(hp, params, x))
    assert np.abs(logits(replace(hp, rotate=Rotary()), params, x) - logits(hp, params, x)).max() > 1e-3


def test_scaling_by_two_is_half_the_positions():
    X, t = normal(0, 5, 6), jnp.arange(5)
    close(Rotary(scaling=LinearScaling(2.0))(X, 2 * t), Rotary()(X, t))


# Scores


@pytest.mark.parametrize(
    ("H", "expected"),
    [
        (1, [2**-8]),
        (4, [1 / 4, 1 / 16, 1 / 64, 1 / 256]),
        (8, [2.0**-h for h in range(1, 9)]),
        (6, [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]),
        (12, [*(2.0**-h for h in range(1, 9)), 2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]),
    ],
)
def test_slopes(H, expected):
    close(slopes(H), expected)


@few
@given(seed=seeds, shift=st.integers(0, 1000))
def test_alibi_adds_to_a_row_what_the_released_code_adds_up_to_a_constant(seed, shift):
    S, t = normal(seed, 4, 5, 5), jnp.arange(5)
    close(Alibi()(S, t + shift, t + shift), Alibi()(S, t, t))
    released = S + jnp.asarray(slopes(4))[:, None, None] * t.astype(float)[None, None, :]
    causal = jnp.tril(jnp.ones((5, 5), bool))[None]
    ours, theirs = (jax.nn.softmax(jnp.where(causal, A, -jnp.inf)) for A in (Alibi()(S, t, t), released))
    close(ours, theirs)


@pytest.mark.parametrize(
    ("bidirectional", "points"),
    [
        (True, {-200: 15, -128: 15, -20: 10, -8: 8, -1: 1, 0: 0, 1: 17, 8: 24, 20: 26, 128: 31}),
        (False, {-200: 31, -64: 26, -20: 17, -15: 15, -1: 1, 0: 0, 3: 0, 100: 0}),
    ],
)
def test_buckets(bidirectional, points):
    bucket = RelativeBuckets(bidirectional=bidirectional).bucket(jnp.asarray([*points]))
    assert bucket.tolist() == [*points.values()]


def test_the_first_distance_of_each_bucket():
    one_way = RelativeBuckets().bucket(-jnp.arange(300)).tolist()
    causal = RelativeBuckets(bidirectional=False).bucket(-jnp.arange(300)).tolist()
    assert [one_way.index(b) for b in range(16)] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]
    logarithmic = [16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]
    assert [causal.index(b) for b in range(32)] == [*range(16), *logarithmic]


@few
@given(seed=seeds)
def test_a_high_cap_changes_nothing_and_a_low_one_bounds(seed):
    S = normal(seed, 4, 5)
    close(SoftCap(1e6)(S), S)
    assert np.abs(SoftCap(0.5)(S)).max() < 0.5
    assert np.all(np.argsort(SoftCap(0.5)(S)) == np.argsort(S))


def test_scores_in_turn_are_one_after_the_other():
    S, t = 3 * normal(0, 4, 5, 5), jnp.arange(5)
    both = InTurn((SoftCap(2.0), Alibi()))(S, t, t, None)
    close(both, Alibi()(SoftCap(2.0)(S), t, t))
    assert np.abs(both - InTurn((Alibi(), SoftCap(2.0)))(S, t, t, None)).max() > 0.1


@pytest.mark.parametrize("score", [SoftCap(2.0), InTurn((SoftCap(2.0), Alibi()))], ids=["cap", "cap and ALiBi"])
def test_a_capped_score_is_masked_all_the_same(score):
    """Before the mask -∞ would become -c: a cap after it lets a token see what follows."""
    hp, params, x = decoder(score=score)
    changed = x.at[-1].set((x[-1] + 1) % hp.N_V)
    np.testing.assert_array_equal(logits(hp, params, x)[:-1], logits(hp, params, changed)[:-1])
