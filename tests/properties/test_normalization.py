"""Algorithm 6: its properties. The paper prints no epsilon, and unless said otherwise there is none here."""

import jax
import numpy as np
from hypothesis import given

import formal_tx

from .strategies import close, few, normal, permutation, random_like, seeds, some

D_E = 6
ONES, ZEROS = np.ones(D_E), np.zeros(D_E)


def tokens_and_norm(seed):
    gamma, beta = 1 + 0.3 * normal(seed + 1, D_E), normal(seed + 2, D_E)
    return normal(seed, 5, D_E), gamma, beta


@some
@given(seed=seeds)
def test_mean_and_variance(edition, seed):
    """P6.1: mean 0, population variance 1, squared norm d_e, if γ = 1 and β = 0."""
    e, _, _ = tokens_and_norm(seed)
    e_hat = edition.layer_norm(e, ONES, ZEROS)
    close(e_hat.mean(axis=1), np.zeros(5))
    close(e_hat.var(axis=1), np.ones(5))
    close((e_hat**2).sum(axis=1), np.full(5, D_E))


@some
@given(seed=seeds)
def test_shift_and_scale(edition, seed):
    """P6.2: blind to a shift and to a scale; a negative scale turns the sign, without β."""
    e, gamma, beta = tokens_and_norm(seed)
    rng = np.random.default_rng(seed)
    a, c = rng.uniform(0.1, 10, (5, 1)), rng.normal(size=(5, 1))
    close(edition.layer_norm(a * e + c, gamma, beta), edition.layer_norm(e, gamma, beta))
    close(edition.layer_norm(-a * e + c, gamma, ZEROS), -edition.layer_norm(e, gamma, ZEROS))


@some
@given(seed=seeds)
def test_idempotent(edition, seed):
    """P6.3: what is normalised stays as it is."""
    e_hat = edition.layer_norm(tokens_and_norm(seed)[0], ONES, ZEROS)
    close(edition.layer_norm(e_hat, ONES, ZEROS), e_hat)


@some
@given(seed=seeds)
def test_no_feature_is_large(edition, seed):
    """P6.4: before γ and β, none exceeds √(d_e - 1), which one that stands alone reaches."""
    e, gamma, beta = tokens_and_norm(seed)
    e_hat = (edition.layer_norm(e, gamma, beta) - beta) / gamma
    assert (np.abs(e_hat) <= np.sqrt(D_E - 1) + 1e-10).all()
    alone = np.eye(D_E)[:5]
    close(edition.layer_norm(alone, ONES, ZEROS).max(axis=1), np.full(5, np.sqrt(D_E - 1)))


@some
@given(seed=seeds)
def test_two_features(edition, seed):
    """P6.5: of two features the larger becomes 1, the smaller -1."""
    e = normal(seed, 5, 2)
    close(edition.layer_norm(e, np.ones(2), np.zeros(2)), np.sign(e - e[:, ::-1]))


@some
@given(seed=seeds)
def test_the_order_of_features(edition, seed):
    """P6.6: permuting the features of e, γ and β permutes the result."""
    e, gamma, beta = tokens_and_norm(seed)
    order = permutation(seed, D_E)
    result = edition.layer_norm(e[:, order], gamma[order], beta[order])
    close(result, edition.layer_norm(e, gamma, beta)[:, order])


@some
@given(seed=seeds)
def test_the_variance_is_not_bessels(edition, seed):
    """P6.7: at d_e = 4 dividing by d_e - 1 would scale the result by 0.866, which is not what is done."""
    e = normal(seed, 5, 4)
    e_hat = edition.layer_norm(e, np.ones(4), np.zeros(4))
    centred = e - e.mean(axis=1, keepdims=True)
    close(e_hat, centred / e.std(axis=1, keepdims=True))
    close(centred / e.std(axis=1, ddof=1, keepdims=True), e_hat * np.sqrt(3 / 4))


@some
@given(seed=seeds)
def test_epsilon(edition, seed):
    """P6.8: with an epsilon the variance is v / (v + epsilon) < 1; without one it is 1, however small e is."""
    e = 1e-4 * normal(seed, 5, D_E)
    v, epsilon = e.var(axis=1), 1e-5
    close(edition.layer_norm(e, ONES, ZEROS, epsilon).var(axis=1), v / (v + epsilon))
    close(edition.layer_norm(e, ONES, ZEROS).var(axis=1), np.ones(5))


@few
@given(seed=seeds)
def test_a_batch_is_a_vmap_is_a_loop(seed):
    """Leading axes are free: a batched call, `vmap` and a Python loop give the same numbers; over γ and β too."""
    _, gamma, beta = tokens_and_norm(seed)
    e = normal(seed, 2, 5, D_E)
    result = formal_tx.layer_norm(e, gamma, beta)
    mapped = jax.vmap(jax.vmap(formal_tx.layer_norm, (0, None, None)), (0, None, None))
    close(mapped(e, gamma, beta), result)
    for i in np.ndindex(2, 5):
        close(formal_tx.layer_norm(e[i], gamma, beta), result[i])
    norms = random_like(seed, {"gamma": np.zeros((2, D_E)), "beta": np.zeros((2, D_E))})
    mapped = jax.vmap(formal_tx.layer_norm)(e, norms["gamma"], norms["beta"])
    for i in range(2):
        close(formal_tx.layer_norm(e[i], norms["gamma"][i], norms["beta"][i]), mapped[i])
