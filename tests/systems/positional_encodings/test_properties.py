"""What is true of the encodings by themselves, whatever the weights are."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from formal_tx import DTransformerHyperparameters, ETransformerHyperparameters, masks
from formal_tx.activations import relu, tanh
from formal_tx.attending import Attending
from formal_tx.attention import attention, mh_attention
from formal_tx.embedding import positional_embedding
from formal_tx.parameters import AttentionParameters, MHAttentionParameters
from formal_tx.positional import (
    Alibi,
    RelativeBuckets,
    Rotary,
    interleaved_sinusoids,
    sinusoid_halves,
    whisper_sinusoids,
)
from formal_tx.positional.alibi import slopes
from formal_tx.positional.learnable_sinusoids import (
    LearnableSinusoidsParameters,
    init_learnable_sinusoids,
    learnable_sinusoids,
    sinusoid_frequencies,
    sinusoids,
)
from formal_tx.positional.no_positions import (
    ProbeParameters,
    count_from_start,
    fit_probe,
    random_features,
    read_positions,
    without_positions,
)
from formal_tx.scores import InTurn, SoftCap

from .encodings import close, few, normal, seeds

# Sinusoids

D_E = 10


def test_a_row_by_hand():
    """Base 100, four features, position 1: angles 1 and 1/10."""
    row = sinusoids(jnp.array([1]), jnp.asarray(sinusoid_frequencies(4, 100)))[0]
    close(row, [np.sin(1), np.cos(1), np.sin(0.1), np.cos(0.1)])


def test_sinusoids_of_any_positions_are_rows_of_the_table():
    t = jnp.array([0, 31, 7, 7])
    rows = sinusoids(t, jnp.asarray(sinusoid_frequencies(D_E)))
    close(rows, interleaved_sinusoids(32, D_E)[t])
    close(rows, positional_embedding(t, interleaved_sinusoids(32, D_E)))


@pytest.mark.parametrize("table", [interleaved_sinusoids, sinusoid_halves, whisper_sinusoids])
def test_products_of_rows_depend_on_the_distance_alone(table):
    W_p = table(40, D_E)
    close((W_p**2).sum(axis=1), D_E / 2)
    products = W_p @ W_p.T
    for distance in (1, 5, 17):
        close(np.diagonal(products, distance), products[0, distance])


@few
@given(start=st.integers(0, 100), step=st.integers(0, 100))
def test_a_step_turns_every_pair_by_the_same_angle_from_wherever(start, step):
    omega = sinusoid_frequencies(D_E)
    here, there = (sinusoids(jnp.array([t]), jnp.asarray(omega))[0] for t in (start, start + step))
    sin, cos = here[0::2], here[1::2]
    close(there[0::2], sin * np.cos(omega * step) + cos * np.sin(omega * step))
    close(there[1::2], cos * np.cos(omega * step) - sin * np.sin(omega * step))


def test_the_tables_are_one_another_up_to_the_order_of_features_and_the_exponent():
    interleaved, halves = interleaved_sinusoids(20, D_E), sinusoid_halves(20, D_E)
    np.testing.assert_array_equal(halves, interleaved[:, [*range(0, D_E, 2), *range(1, D_E, 2)]])
    # d/2 - 1 in the place of d/2: of another width, the same frequencies but for the slowest.
    close(whisper_sinusoids(20, D_E)[:, : D_E // 2 - 1], sinusoid_halves(20, D_E - 2)[:, : D_E // 2 - 1])
    close(whisper_sinusoids(20, D_E)[:, D_E // 2 - 1], np.sin(np.arange(20) / 10000))


# LSPE


def network(seed=0, d_e=6, d_ff=5, learned=False):
    shapes = ((d_ff, d_e), (d_ff,), (d_e, d_ff), (d_e,))
    omega = jnp.abs(normal(seed + 9, d_e // 2)) if learned else None
    return LearnableSinusoidsParameters(*(normal(seed + i, *shape) for i, shape in enumerate(shapes)), omega=omega)


def linear(x):
    return x


T = np.arange(11)
PLAIN = interleaved_sinusoids(11, 6)


def test_a_network_that_changes_nothing_gives_the_sinusoids():
    nothing = jnp.zeros(6)
    unchanged = LearnableSinusoidsParameters(jnp.eye(6), nothing, jnp.eye(6), nothing)
    close(learnable_sinusoids(T, unchanged, activation=linear), PLAIN)


def test_a_residual_of_a_network_that_says_nothing_gives_the_sinusoids():
    W = network()
    W = W.replace(W_2=0 * W.W_2, b_2=0 * W.b_2)
    close(learnable_sinusoids(T, W, residual=True), PLAIN)
    assert not np.any(learnable_sinusoids(T, W))


@pytest.mark.parametrize("activation", [relu, tanh])
def test_a_residual_is_what_is_added(activation):
    W = network()
    close(learnable_sinusoids(T, W, activation, True) - learnable_sinusoids(T, W, activation), PLAIN)


def test_frequencies_that_are_learned_begin_as_those_that_are_not():
    W = init_learnable_sinusoids(jax.random.key(0), 6, learned_frequencies=True, base=100.0)
    close(learnable_sinusoids(T, W), learnable_sinusoids(T, W.replace(omega=None), base=100.0))
    close(learnable_sinusoids(2 * T, W), learnable_sinusoids(T, W.replace(omega=2 * W.omega)))


def test_a_position_has_one_row_wherever_it_stands_and_there_is_no_last_one():
    W = network()
    t = jnp.array([[0, 5, 5], [1_000_000, 5, 2]])
    P = learnable_sinusoids(t, W)
    np.testing.assert_array_equal(P[0, 1], P[0, 2])
    np.testing.assert_array_equal(P[0, 1], P[1, 1])
    assert np.isfinite(P).all()
    close(P[0], learnable_sinusoids(t[0].astype(float), W))


def test_its_parameters_know_no_longest_sequence():
    W = init_learnable_sinusoids(jax.random.key(0), 6)
    assert sum(leaf.size for leaf in jax.tree.leaves(W)) == 2 * 6 * 6 + 2 * 6
    assert learnable_sinusoids(jnp.arange(1), W).shape == (1, 6)
    assert learnable_sinusoids(jnp.arange(1000), W).shape == (1000, 6)


@pytest.mark.parametrize("residual", [False, True])
def test_gradients_are_those_of_differences(residual):
    run = partial(learnable_sinusoids, activation=tanh, residual=residual)
    check_grads(lambda W: run(T[:3], W), (network(learned=True),), order=1)
    check_grads(lambda t: run(t, network()), (jnp.array([0.5, 3.25]),), order=1)


# Rotary


def test_pairs_by_hand():
    """One pair is the same pair in both ways; of two pairs the first turns by t, each in its place."""
    one, t = jnp.array([[1.0, 0.0]]), jnp.array([1])
    for neighbours in (False, True):
        close(Rotary(neighbours=neighbours)(one, t), [[np.cos(1), np.sin(1)]])
    two = jnp.array([[1.0, 0.0, 0.0, 0.0]])
    close(Rotary()(two, t), [[np.cos(1), 0, np.sin(1), 0]])
    close(Rotary(neighbours=True)(two, t), [[np.cos(1), np.sin(1), 0, 0]])


@few
@given(seed=seeds, t=st.integers(0, 1000), u=st.integers(0, 1000), neighbours=st.booleans())
def test_two_turns_are_one(seed, t, u, neighbours):
    rotary, X = Rotary(neighbours=neighbours), normal(seed, 3, 8)
    turns = [jnp.full(3, n) for n in (t, u, t + u)]
    close(rotary(rotary(X, turns[0]), turns[1]), rotary(X, turns[2]))


def test_the_exponents_are_divided_by_how_many_features_turn():
    """And not by the size of a head: half of a head turns as a head of half the size."""
    X, t = normal(0, 5, 8), jnp.arange(5)
    close(Rotary(size=4)(X, t)[:, :4], Rotary()(X[:, :4], t))


def test_angles_are_not_rounded_to_the_type_of_what_turns():
    """257 is no number of bfloat16, whose next ones are 256 and 258."""
    X, t = normal(0, 2, 4).astype(jnp.bfloat16), jnp.array([256, 257])
    turned = Rotary()(X, t)
    exact = Rotary()(X.astype(jnp.float32), t)
    assert turned.dtype == jnp.bfloat16
    np.testing.assert_array_equal(turned, exact.astype(jnp.bfloat16))


@pytest.mark.parametrize("rotary", [Rotary(), Rotary(neighbours=True)])
def test_values_do_not_turn(rotary):
    """With scores that are all 0 the answer is a mean of values, whatever their positions."""
    heads = AttentionParameters(jnp.zeros((1, 4, 3)), None, jnp.zeros((1, 4, 3)), None, normal(0, 1, 4, 3), None)
    params, X = MHAttentionParameters(heads, normal(1, 5, 4), None), normal(2, 7, 3)
    turned, plain = (mh_attention(X, X, params, masks.causal, Attending(rotate=r)) for r in (rotary, None))
    np.testing.assert_array_equal(turned, plain)


# ALiBi


@pytest.mark.parametrize("H", [1, 3, 4])
def test_without_content_weights_fall_by_a_factor_with_every_step_back(H):
    t = np.arange(9)
    A = Attending(score=Alibi()).weights(jnp.zeros((H, 9, 9)), jnp.tri(9, dtype=bool), 5)
    for h, m in enumerate(slopes(H)):
        expected = np.where(t[:, None] >= t, np.exp(-m * (t[:, None] - t)), 0)
        close(A[h], expected / expected.sum(axis=1, keepdims=True))


def test_the_penalty_is_not_scaled():
    """It is added to S / √d_attn: four times the width of a head changes nothing in it."""
    S, mask = normal(0, 2, 9, 9), jnp.tri(9, dtype=bool)
    attending = Attending(score=Alibi())
    close(attending.weights(S, mask, 3), attending.weights(2 * S, mask, 12))


@pytest.mark.parametrize("H", [1, 2, 3, 7, 8, 12, 33, 64])
def test_slopes_are_between_0_and_1_all_different_and_those_of_more_heads(H):
    m = slopes(H)
    assert len(set(m)) == H
    assert np.all((m > 0) & (m < 1))
    n = 2 ** int(np.log2(H))
    assert set(slopes(n)) <= set(m) <= set(slopes(2 * n))


# T5


@few
@given(seed=seeds)
def test_a_distance_has_its_bucket_whatever_the_positions(seed):
    rng = np.random.default_rng(seed)
    W_r, score, t_x, t_z = normal(seed, 8, 2), RelativeBuckets(8, 20), rng.integers(0, 99, 7), rng.integers(0, 99, 5)
    found = score(jnp.zeros((2, 7, 5)), jnp.asarray(t_x), jnp.asarray(t_z), W_r)
    buckets = score.bucket(jnp.arange(-99, 100))
    for x in range(7):
        for z in range(5):
            np.testing.assert_array_equal(found[:, x, z], W_r[buckets[99 + t_z[z] - t_x[x]]])


@pytest.mark.parametrize("score", [RelativeBuckets(), RelativeBuckets(10, 37), RelativeBuckets(6, 50)])
def test_buckets_of_both_sides_are_alike_and_further_is_never_nearer(score):
    buckets = np.asarray(jax.jit(score.bucket)(jnp.arange(-299, 300)))
    before, after = buckets[299::-1], buckets[300:]
    np.testing.assert_array_equal(after, before[1:] + score.rows // 2)
    assert np.all(np.diff(before) >= 0)
    assert before.max() == score.rows // 2 - 1
    assert np.all(after[score.furthest - 1 :] == score.rows - 1)


def test_what_follows_shares_the_bucket_of_0_in_a_decoder():
    score = RelativeBuckets(bidirectional=False)
    assert score.bucket(jnp.array([0, 1, 2, 50])).tolist() == [0, 0, 0, 0]
    assert score.bucket(jnp.array([-1, -2, -15])).tolist() == [1, 2, 15]


# NoPE


def told_apart(seed, *shape):
    """Tokens that have 1 in the last feature if they are the first, and otherwise 0."""
    X = normal(seed, *shape)
    first = (jnp.arange(shape[-2]) == 0).astype(X.dtype)
    return X.at[..., -1].set(first), jnp.eye(shape[-1])[-1]


@few
@given(seed=seeds)
def test_a_head_that_is_told_no_positions_counts(seed):
    close(count_from_start(*told_apart(seed, 200, 5)), np.arange(200))


def test_the_share_of_the_start_is_1_by_how_many_are_seen():
    X, v = told_apart(0, 12, 5)
    nothing = jnp.zeros((1, 5))
    head = AttentionParameters(nothing, None, nothing, None, v[None, :], None)
    close(attention(X, X, head, masks.causal)[:, 0], 1 / (1 + np.arange(12)))
    # Without the causal mask every token has the same share, and there is nothing to count.
    close(attention(X, X, head, masks.full)[:, 0], 1 / 12)


def test_a_probe_reads_what_is_there():
    """Positions that are a feature of the hidden states are read from other hidden states, in their place."""
    t = np.random.default_rng(0).permutation(64)
    X = normal(1, 64, 5).at[:, 2].set(t / 64)
    W = fit_probe(X, t, *random_features(jax.random.key(0), 5, 200), penalty=1e-9)
    new = normal(2, 30, 5).at[:, 2].set(jnp.linspace(0.1, 0.9, 30))
    error = np.abs(read_positions(new, W) - 64 * new[:, 2]).mean()
    chance = np.abs(64 * new[:, 2] - 32).mean()
    assert error < chance / 4


def test_a_probe_reads_the_mean_where_there_is_nothing_or_the_penalty_is_large():
    R, c = random_features(jax.random.key(0), 5, 20)
    X, t = normal(0, 50, 5), jnp.arange(50)
    close(read_positions(X, fit_probe(jnp.ones((50, 5)), t, R, c)), t.mean())
    # w is at most the product of features and targets, by the penalty.
    np.testing.assert_allclose(read_positions(X, fit_probe(X, t, R, c, penalty=1e12)), t.mean(), atol=1e-8)


def test_a_probe_does_not_see_the_order_of_its_tokens_and_follows_positions():
    R, c = random_features(jax.random.key(0), 5, 20)
    X, t = normal(0, 50, 5), jnp.arange(50)
    order = np.random.default_rng(0).permutation(50)
    W, shuffled, moved = (fit_probe(*of, R, c) for of in ((X, t), (X[order], t[order]), (X, 2 * t + 7)))
    close(shuffled.w, W.w, rtol=1e-7)  # the sums are rounded in another order, and a system is solved
    close(read_positions(X, moved), 2 * read_positions(X, W) + 7, rtol=1e-7)


def test_to_be_told_no_positions():
    widths = {"l_max": 8, "H": 2, "d_e": 6, "d_mlp": 5, "N_V": 7}
    hp = DTransformerHyperparameters(**widths, L=1, rotate=Rotary(size=2), score=InTurn((SoftCap(2.0), Alibi())))
    bare = without_positions(hp)
    assert (bare.table, bare.rotate, bare.score) == (None, None, InTurn((SoftCap(2.0),)))
    assert without_positions(bare) == bare
    assert without_positions(DTransformerHyperparameters(**widths, L=1, score=InTurn((Alibi(),)))).score is None
    with pytest.warns(UserWarning, match="an encoder without positions sees a bag of tokens"):
        encoder = without_positions(ETransformerHyperparameters(**widths, L=1, score=RelativeBuckets()))
    assert (encoder.table, encoder.score) == (None, None)


# Batches, compilers


def _probe(d_e=5, d_f=4):
    R, c = random_features(jax.random.key(0), d_e, d_f)
    return ProbeParameters(R, c, normal(3, d_f), jnp.asarray(0.5))


_FUNCTIONS = {
    "learnable_sinusoids": lambda t: learnable_sinusoids(t, network(learned=True)),
    "count_from_start": lambda X: count_from_start(X, jnp.eye(5, dtype=X.dtype)[-1]),
    "fit_probe": lambda X: fit_probe(X, jnp.arange(7), *random_features(jax.random.key(0), 5, 4), penalty=0.1),
    "read_positions": lambda X: read_positions(X, _probe()),
}


@pytest.fixture(params=_FUNCTIONS)
def function(request):
    """A function of one array, and a batch (3, 2) of these."""
    if request.param == "learnable_sinusoids":
        return _FUNCTIONS[request.param], jnp.arange(3 * 2 * 7).reshape(3, 2, 7)
    return _FUNCTIONS[request.param], told_apart(0, 3, 2, 7, 5)[0]


def test_a_batch_is_vmap_is_a_loop(function):
    f, batch = function
    together = f(batch)
    mapped = jax.vmap(jax.vmap(f))(batch)
    one_by_one = [f(batch[i, j]) for i in range(3) for j in range(2)]
    if isinstance(together, ProbeParameters):  # R and c are those of all
        together, mapped = ([W.w, W.b] for W in (together, mapped))
        one_by_one = [[W.w, W.b] for W in one_by_one]
    looped = jax.tree.map(lambda *leaves: jnp.stack(leaves).reshape(3, 2, *leaves[0].shape), *one_by_one)
    jax.tree.map(close, together, mapped)
    jax.tree.map(close, together, looped)


def test_a_probe_that_was_fitted_to_a_batch_reads_a_batch():
    X = normal(0, 3, 7, 5)
    W = fit_probe(X, jnp.arange(7), *random_features(jax.random.key(0), 5, 4))
    for i in range(3):
        close(read_positions(X, W)[i], read_positions(X[i], W.replace(w=W.w[i], b=W.b[i])))


def test_it_lowers_for_every_platform(function):
    f, batch = function
    platforms = ["cpu", "cuda", "tpu"]
    with jax.enable_x64(False):
        small = jnp.asarray(batch, jnp.int32 if batch.dtype.kind == "i" else jnp.float32)
        exported = jax.export.export(jax.jit(f), platforms=platforms)(small)
    assert set(exported.platforms) == set(platforms)


def test_other_numbers_compile_nothing_anew():
    """Neither other positions and parameters do, nor another penalty."""
    R, c = random_features(jax.random.key(0), 5, 4)
    runs = {
        learnable_sinusoids: lambda n: learnable_sinusoids(jnp.arange(7) + n, network(n)),
        fit_probe: lambda n: fit_probe(normal(n, 7, 5), jnp.arange(7), R, c, penalty=jnp.asarray(0.1 * n)),
        read_positions: lambda n: read_positions(normal(n, 7, 5), _probe()),
    }
    for f, run in runs.items():
        run(1)
        assert _compilations(run, 2) == 0, f


def _compilations(run, n):
    """How many programs a call compiles."""
    counted = []

    def listen(event, seconds, **_):
        if event.endswith("backend_compile_duration"):
            counted.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    run(n)
    jax.monitoring.unregister_event_duration_listener(listen)
    return len(counted)


def test_gradients_of_the_probe_and_of_counting():
    X, v = told_apart(0, 6, 5)
    assert np.isfinite(jax.jacobian(lambda v: count_from_start(X, v))(v)).all()
    R, c = random_features(jax.random.key(0), 5, 4)
    check_grads(lambda X: fit_probe(X, jnp.arange(9), R, c, penalty=0.1), (normal(0, 9, 5),), order=1, modes=["rev"])
