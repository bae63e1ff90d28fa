"""Algorithms 8, 9 and 10, and the GELU of eq. (5): their properties."""

from dataclasses import replace
from itertools import product

import jax
import numpy as np
import pytest
from hypothesis import given

import formal_tx
from formal_tx.tagging import reap

from .strategies import (
    ED,
    LIBRARY,
    D,
    E,
    change,
    close,
    differ,
    few,
    normal,
    permutation,
    random_model,
    seeds,
    some,
    stack,
    tokens,
)

L, L_Z = 5, 4
N_V, L_MAX, D_E = D.N_V, D.l_max, D.d_e


# Eq. (5)


@some
@given(seed=seeds)
def test_gelu_is_the_identity_in_its_odd_part(edition, seed):
    """PG.1: GELU(x) - GELU(-x) = x."""
    x = 3 * normal(seed, 50)
    close(edition.gelu(x) - edition.gelu(-x), x)


def test_gelu_values(edition):
    """PG.2: its values at a few points, and its minimum."""
    close(edition.gelu(np.array([0.0])), [0.0])
    np.testing.assert_allclose(
        edition.gelu(np.array([1.0, -1.0, 2.0])), [0.841344746, -0.158655254, 1.954499736], atol=1e-9
    )
    x = np.linspace(-4, 4, 80001)
    y = edition.gelu(x)
    np.testing.assert_allclose([x[y.argmin()], y.min()], [-0.7518, -0.16997], atol=1e-4)


def test_gelu_is_not_the_tanh_form(edition):
    """PG.3: the approximation by tanh differs from it by up to 4.73e-4 on [-4, 4]."""
    x = np.linspace(-4, 4, 80001)
    tanh = x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    np.testing.assert_allclose(np.abs(edition.gelu(x) - tanh).max(), 4.73e-4, atol=1e-6)


# All three


def ed_input(seed):
    return tokens(seed, L_Z), tokens(seed + 1, L), random_model(seed, ED)


def e_input(seed):
    return tokens(seed, L), random_model(seed, E)


def d_input(seed):
    return tokens(seed, L), random_model(seed, D)


def check_distributions(P, l):
    assert P.shape == (l, N_V)
    assert (P > 0).all()
    close(P.sum(axis=1), np.ones(l))


def relabelled(params, labels):
    """The parameters under which token labels[v] means what v meant."""
    W_e, W_u = np.empty_like(params.W_e), np.empty_like(params.W_u)
    W_e[labels], W_u[labels] = params.W_e, params.W_u
    return params.replace(W_e=W_e, W_u=W_u)


# Algorithm 8


@some
@given(seed=seeds)
def test_ed_distributions(edition, seed):
    """P8.1, P8.7: a distribution in each row, as many as x has tokens; uniform if W_u = 0."""
    z, x, params = ed_input(seed)
    check_distributions(edition.ed_transformer(z, x, params, ED), L)
    check_distributions(edition.ed_transformer(z[:2], x, params, ED), L)
    blank = params.replace(W_u=np.zeros_like(params.W_u))
    close(edition.ed_transformer(z, x, blank, ED), np.full((L, N_V), 1 / N_V))


@few
@given(seed=seeds)
def test_ed_is_causal_in_x(edition, seed):
    """P8.2: the rows for a prefix of x are a prefix of the rows."""
    z, x, params = ed_input(seed)
    P = edition.ed_transformer(z, x, params, ED)
    for t in (1, 3):
        close(edition.ed_transformer(z, x[:t], params, ED), P[:t])


@few
@given(seed=seeds)
def test_ed_depends_on_all_of_z(edition, seed):
    """P8.3: every row depends on every token of z."""
    z, x, params = ed_input(seed)
    P = edition.ed_transformer(z, x, params, ED)
    for t in range(L_Z):
        other = edition.ed_transformer(change(seed, z, [t]), x, params, ED)
        assert (np.abs(other - P).max(axis=1) > 1e-9).all()


@some
@given(seed=seeds)
def test_ed_does_not_know_the_order_of_z_without_positions(edition, seed):
    """P8.4: if W_p = 0, P is invariant under permutations of z."""
    z, x, params = ed_input(seed)
    nowhere = params.replace(W_p=np.zeros_like(params.W_p))
    moved = z[permutation(seed, L_Z)]
    close(edition.ed_transformer(moved, x, nowhere, ED), edition.ed_transformer(z, x, nowhere, ED))


@some
@given(seed=seeds)
def test_ed_hears_of_z_by_cross_attention_only(edition, seed):
    """P8.5: if W_o and b_o of all cross-attention are 0, P does not depend on z."""
    z, x, params = ed_input(seed)
    cross = params.decoder.cross_attention
    deaf = cross.replace(W_o=np.zeros_like(cross.W_o), b_o=np.zeros_like(cross.b_o))
    params = params.replace(decoder=params.decoder.replace(cross_attention=deaf))
    other = change(seed, z, slice(None))
    close(edition.ed_transformer(other, x, params, ED), edition.ed_transformer(z, x, params, ED))


def test_ed_normalises_what_its_layers_give():
    """P8.6: rows of Z after line 8 and of X after line 19, without γ and β, have mean 0 and variance 1."""
    reaped = jax.jit(reap(lambda z, x, params: formal_tx.ed_transformer_logits(z, x, params, ED)))

    @few
    @given(seed=seeds)
    def check(seed):
        z, x, params = ed_input(seed)
        _, values = reaped(z, x, params)
        encoder, decoder = params.encoder, params.decoder
        for name, gamma, beta in (
            ("8.Z", encoder.gamma_2, encoder.beta_2),
            ("15.X", decoder.gamma_3, decoder.beta_3),
            ("17.X", decoder.gamma_4, decoder.beta_4),
            ("19.X", decoder.gamma_5, decoder.beta_5),
        ):
            X = (values[f"ed_transformer_logits/{name}"] - beta[:, None]) / gamma[:, None]
            np.testing.assert_allclose(X.mean(axis=-1), 0, atol=1e-9)
            np.testing.assert_allclose(X.var(axis=-1), 1, atol=1e-9)

    check()


@some
@given(seed=seeds)
def test_ed_relabelled(edition, seed):
    """P8.8: renaming the tokens, with W_e and W_u, renames the entries of P."""
    z, x, params = ed_input(seed)
    labels = permutation(seed, N_V)
    P = edition.ed_transformer(labels[z], labels[x], relabelled(params, labels), ED)
    close(P[:, labels], edition.ed_transformer(z, x, params, ED))


# Algorithm 9


@some
@given(seed=seeds)
def test_e_distributions(edition, seed):
    """P9.1, P9.2: a distribution in each row, and the first depends on the last token."""
    x, params = e_input(seed)
    P = edition.e_transformer(x, params, E)
    check_distributions(P, L)
    differ(edition.e_transformer(change(seed, x, [-1]), params, E)[0], P[0], by=1e-9)


@some
@given(seed=seeds)
def test_e_does_not_know_an_order_without_positions(edition, seed):
    """P9.3: if the rows of W_p are equal, permuting x permutes P; in general it does not."""
    x, params = tokens(seed, L), random_model(seed, E)
    x[:2] = [0, 1]  # so that the rotation below moves something
    order = permutation(seed, L)
    for W_p in (np.zeros_like(params.W_p), np.tile(params.W_p[:1], (L_MAX, 1))):
        alike = params.replace(W_p=W_p)
        close(edition.e_transformer(x[order], alike, E), edition.e_transformer(x, alike, E)[order])
    order = np.roll(np.arange(L), 1)
    differ(edition.e_transformer(x[order], params, E), edition.e_transformer(x, params, E)[order])


@some
@given(seed=seeds)
def test_e_tokens_move_with_their_positions(edition, seed):
    """P9.4: permuting x and the first ℓ rows of W_p permutes the rows of P."""
    x, params = e_input(seed)
    order = permutation(seed, L)
    moved = params.replace(W_p=np.concatenate([params.W_p[order], params.W_p[L:]]))
    close(edition.e_transformer(x[order], moved, E), edition.e_transformer(x, params, E)[order])


def test_what_d_f_is_the_width_of():
    """P9.5: d_f changes the shapes of W_f, b_f, γ, β and W_u, and of nothing else."""

    def shapes(hyperparameters):
        params = jax.eval_shape(lambda key: formal_tx.init_e_transformer(key, hyperparameters), jax.random.key(0))
        leaves = jax.tree_util.tree_leaves_with_path(params)
        return {jax.tree_util.keystr(path, simple=True, separator="."): leaf.shape for path, leaf in leaves}

    one, other = shapes(E), shapes(replace(E, d_f=E.d_f + 1))
    assert {name for name in one if one[name] != other[name]} == {"W_f", "b_f", "gamma", "beta", "W_u"}


# Algorithm 10


@some
@given(seed=seeds)
def test_d_distributions(edition, seed):
    """P10.1: a distribution in each row."""
    x, params = d_input(seed)
    check_distributions(edition.d_transformer(x, params, D), L)


@few
@given(seed=seeds)
def test_d_is_causal(edition, seed):
    """P10.2: the rows for a prefix are a prefix of the rows, and later tokens do not change them."""
    x, params = d_input(seed)
    P = edition.d_transformer(x, params, D)
    for t in range(1, L):
        close(edition.d_transformer(x[:t], params, D), P[:t])
        other = edition.d_transformer(change(seed, x, slice(t, None)), params, D)
        close(other[:t], P[:t])
        differ(other[t:], P[t:], by=1e-9)


@some
@given(seed=seeds)
def test_only_the_decoder_is_blind_to_a_constant(edition, seed):
    """P10.3: the same added to all features of a token or position is nothing to Algorithm 10; to 8 and 9 it is."""
    x, params = d_input(seed)
    expected = edition.d_transformer(x, params, D)
    on_tokens, on_positions = normal(seed + 1, N_V, 1), normal(seed + 2, L_MAX, 1)
    close(edition.d_transformer(x, params.replace(W_e=params.W_e + on_tokens), D), expected)
    close(edition.d_transformer(x, params.replace(W_p=params.W_p + on_positions), D), expected)
    params = random_model(seed, E)
    shifted = params.replace(W_e=params.W_e + on_tokens)
    differ(edition.e_transformer(x, shifted, E), edition.e_transformer(x, params, E))
    z, x, params = ed_input(seed)
    shifted = params.replace(W_e=params.W_e + on_tokens)
    differ(edition.ed_transformer(z, x, shifted, ED), edition.ed_transformer(z, x, params, ED))


@some
@given(seed=seeds)
def test_d_without_sublayers(edition, seed):
    """P10.4: if W_o, b_o, W_mlp2 and b_mlp2 are 0, P = softmax(LN(E) W_uᵀ), whatever the layers' norms are."""
    x, params = d_input(seed)
    layers = params.layers
    attention = layers.attention
    silent = layers.replace(
        attention=attention.replace(W_o=np.zeros_like(attention.W_o), b_o=np.zeros_like(attention.b_o)),
        W_mlp2=np.zeros_like(layers.W_mlp2),
        b_mlp2=np.zeros_like(layers.b_mlp2),
    )
    e = params.W_e[x] + params.W_p[:L]
    expected = edition.unembedding(edition.layer_norm(e, params.gamma, params.beta), params.W_u)
    close(edition.d_transformer(x, params.replace(layers=silent), D), expected)


@few
@given(seed=seeds)
def test_d_is_a_distribution_over_texts(edition, seed):
    """P10.5: the probabilities of all continuations of two tokens, each a product of conditional ones, sum to 1."""
    x, params = d_input(seed)
    first = edition.d_transformer(x[:1], params, D)[-1]
    second = [edition.d_transformer(np.array([x[0], v]), params, D)[-1] for v in range(N_V)]
    total = sum(first[v] * second[v][w] for v, w in product(range(N_V), repeat=2))
    close(total, 1)


@some
@given(seed=seeds)
def test_d_and_the_order_of_the_past(edition, seed):
    """P10.6: of one layer without positions, the last row is blind to the order of the past; of two layers not."""
    past, last = permutation(seed, N_V)[: L - 1], tokens(seed, 1)
    moved = np.roll(past, 1)
    for hyperparameters in (replace(D, L=1), D):
        params = random_model(seed, hyperparameters)
        params = params.replace(W_p=np.zeros_like(params.W_p))
        one, other = (
            edition.d_transformer(np.concatenate([x, last]), params, hyperparameters)[-1] for x in (past, moved)
        )
        if hyperparameters.L == 1:
            close(one, other)
        else:
            differ(one, other, by=1e-9)


# Batches, with and without padding


@pytest.mark.parametrize(
    ("f", "hyperparameters", "sequences"),
    [
        (formal_tx.ed_transformer, ED, (L_Z, L)),
        (formal_tx.e_transformer, E, (L,)),
        (formal_tx.d_transformer, D, (L,)),
    ],
    ids=["ed_transformer", "e_transformer", "d_transformer"],
)
def test_a_batch_is_a_vmap_is_a_loop(f, hyperparameters, sequences):
    """Leading axes are free: a batched call, `vmap` and a Python loop give the same numbers; over parameters too."""
    mapped = jax.vmap(lambda params, *xs: f(*xs, params, hyperparameters), (None, *[0] * len(sequences)))
    ensemble = jax.jit(jax.vmap(lambda params, *xs: f(*xs, params, hyperparameters)))

    @few
    @given(seed=seeds)
    def check(seed):
        batch = [tokens(seed + i, 2, l) for i, l in enumerate(sequences)]
        many = [random_model(seed + i, hyperparameters) for i in range(2)]
        result = f(*batch, many[0], hyperparameters)
        close(mapped(many[0], *batch), result)
        for i in range(2):
            close(f(*[x[i] for x in batch], many[0], hyperparameters), result[i])
        for i, row in enumerate(ensemble(stack(many), *batch)):
            close(f(*[x[i] for x in batch], many[i], hyperparameters), row)

    check()


def test_two_leading_axes():
    """Leading axes are free, however many: (2, 3, ℓ) is (6, ℓ)."""
    x, params = tokens(0, 2, 3, L), random_model(0, D)
    flat = formal_tx.d_transformer(x.reshape(6, L), params, D)
    close(formal_tx.d_transformer(x, params, D).reshape(6, L, N_V), flat)


@pytest.mark.parametrize("name", ["ed_transformer", "e_transformer", "d_transformer"])
def test_a_padded_batch_is_the_sequences_without_padding(name):
    """A right-padded batch gives for each sequence what it gives alone, whatever stands in the padding."""
    f, alone = getattr(formal_tx, name), getattr(LIBRARY, name)
    hyperparameters = {"ed_transformer": ED, "e_transformer": E, "d_transformer": D}[name]
    sequences = 2 if name == "ed_transformer" else 1

    @few
    @given(seed=seeds)
    def check(seed):
        params = random_model(seed, hyperparameters)
        rng = np.random.default_rng(seed)
        batch = [rng.integers(0, N_V, (3, L)) for _ in range(sequences)]
        lengths = rng.permutation([(2, 3), (L, L), (3, 2)]).T[:sequences]
        for x, n in zip(batch, lengths, strict=True):
            x[np.arange(L) >= n[:, None]] = rng.choice([-1, 0, N_V, 10**6])
        P = np.asarray(f(*batch, params, hyperparameters, *lengths))
        for i in range(3):
            one = [x[i, : n[i]] for x, n in zip(batch, lengths, strict=True)]
            close(P[i, : len(one[-1])], alone(*one, params, hyperparameters))
            padded = f(*[x[i] for x in batch], params, hyperparameters, *[n[i] for n in lengths])
            close(padded[: len(one[-1])], P[i, : len(one[-1])])

    check()


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_lengths_of_any_integer_type(dtype):
    """The type of ids and lengths does not matter, in double precision either."""
    x, params = tokens(0, 2, L), random_model(0, D)
    lengths = np.array([2, L])
    expected = formal_tx.d_transformer(x, params, D, lengths)
    close(formal_tx.d_transformer(x.astype(dtype), params, D, lengths.astype(dtype)), expected)
