"""The Vision Transformer, its positions, the rollout and the heads, against their pseudocode, line by line."""

import jax
import numpy as np
import pytest

from formal_tx import ETransformerHyperparameters
from formal_tx.activations import relu
from formal_tx.crosscheck import pseudocode
from formal_tx.crosscheck.record import record
from formal_tx.heads import HeadParameters, classification_logits, pool_first_token, pool_mean, unit
from formal_tx.placement import PRE
from formal_tx.tagging import reap
from formal_tx.vision import (
    VisionTransformerHyperparameters,
    init_vision_transformer,
    interpolate_positions,
    patchify,
    rollout,
    vision_transformer,
)

TIGHT = {"rtol": 0, "atol": 1e-12}


def paper(file: str, name: str):
    return getattr(pseudocode.module(file), name)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def hyperparameters(**changes):
    encoder = ETransformerHyperparameters(
        **{"l_max": 99, "L": 2, "H": 3, "d_e": 6, "d_mlp": 7, "N_V": 0, "placement": PRE, "layer_scale": True}
        | {"final_norm": True, "head": False, "table": None}
    )
    return VisionTransformerHyperparameters(**{"encoder": encoder, "P": 2, "grid": (3, 3), "C": 5, "N_r": 2} | changes)


def random_parameters(hp):
    """Parameters none of whose numbers is trivially 0 or 1."""
    params = init_vision_transformer(jax.random.key(0), hp)
    leaves, tree = jax.tree.flatten(params)
    return jax.tree.unflatten(tree, [draw(*leaf.shape, seed=i) for i, leaf in enumerate(leaves)])


def as_printed(params, hp):
    """θ of the pseudocode: a column for each token, heads and layers in lists."""
    Parameters = pseudocode.module("notation").Parameters
    W = params.encoder.layers

    def attention(i):
        heads = W.attention.heads
        names = ("W_q", "b_q", "W_k", "b_k", "W_v", "b_v")
        by_head = [Parameters(**{name: getattr(heads, name)[i, h] for name in names}) for h in range(hp.encoder.H)]
        return Parameters(heads=by_head, W_o=W.attention.W_o[i], b_o=W.attention.b_o[i])

    names = ("gamma_1", "beta_1", "gamma_2", "beta_2", "W_mlp1", "b_mlp1", "W_mlp2", "b_mlp2")
    layers = [
        Parameters(
            attention=attention(i),
            scale_1=W.branch_1.scale[i],
            scale_2=W.branch_2.scale[i],
            **{name: getattr(W, name)[i] for name in names},
        )
        for i in range(hp.encoder.L)
    ]
    registers = np.zeros((hp.encoder.d_e, 0)) if params.X_r is None else params.X_r.T
    return Parameters(
        W_e=params.W_e,
        b_e=params.b_e,
        X_cls=params.X_cls.T,
        W_p=params.W_p.T,
        X_r=registers,
        layers=layers,
        gamma=params.encoder.gamma_x,
        beta=params.encoder.beta_x,
    )


def lines_of(file, name, *arguments):
    """What each numbered line of the pseudocode assigned, each time it ran."""
    _, recorded = record(paper(file, name), pseudocode.listing(file.replace(".", "/"), name), *arguments)
    values = {}
    for each in recorded:
        values.setdefault((each.number, each.variable), []).append(each.value)
    return values


@pytest.mark.parametrize("size", [(6, 6), (4, 8)])
@pytest.mark.parametrize("changes", [{}, {"N_r": 0, "N_cls": 2}])
def test_vision_transformer(size, changes, x64):
    hp = hyperparameters(**changes)
    params, I = random_parameters(hp), draw(*size, 5)
    expected = paper("vision.vision_transformer", "vision_transformer")(
        I, as_printed(params, hp), hp.P, hp.grid, hp.encoder.epsilon
    )
    np.testing.assert_allclose(vision_transformer(I, params, hp).T, expected, **TIGHT)
    batch = np.stack([I, draw(*size, 5, seed=9)])
    np.testing.assert_allclose(vision_transformer(batch, params, hp)[0].T, expected, **TIGHT)


def test_patchify(x64):
    I = draw(6, 9, 2)
    np.testing.assert_array_equal(patchify(I, 3).T, paper("vision.patchify", "patchify")(I, 3))


@pytest.mark.parametrize("offset", [0, 0.1])
@pytest.mark.parametrize("grid", [(3, 4), (5, 2), (1, 7), (9, 9)])
def test_interpolate_positions(grid, offset, x64):
    W_p, M = draw(14, 6), (3, 4)
    expected = paper("vision.interpolate_positions", "interpolate_positions")(W_p.T, M, grid, offset)
    np.testing.assert_allclose(interpolate_positions(W_p, M, grid, offset).T, expected, **TIGHT)


@pytest.mark.parametrize("fusion", ["mean", "max", "min"])
@pytest.mark.parametrize("rho", [0.0, 0.3, 0.95])
def test_rollout(fusion, rho, x64):
    A = np.asarray(jax.nn.softmax(draw(3, 2, 7, 7)))
    expected = paper("vision.rollout", "rollout")(list(A), 3, getattr(np, fusion), rho)
    np.testing.assert_allclose(rollout(A, 3, fusion, rho), expected, **TIGHT)


def test_heads(x64):
    X, W, b = draw(5, 4), draw(3, 4, seed=1), draw(3, seed=2)
    head = HeadParameters(W, b)
    first_token, mean, one = (paper("heads.pooling", name) for name in ("first_token", "mean", "unit"))
    np.testing.assert_allclose(pool_first_token(X, head), first_token(X.T, W, b), **TIGHT)
    ReLU = paper("notation", "ReLU")
    np.testing.assert_allclose(pool_first_token(X, head, relu), first_token(X.T, W, b, ReLU), **TIGHT)
    np.testing.assert_allclose(pool_mean(X), mean(X.T), **TIGHT)
    np.testing.assert_allclose(pool_mean(X[None], np.array([3]))[0], mean(X[:3].T), **TIGHT)
    np.testing.assert_allclose(unit(X)[0], one(X[0]), **TIGHT)
    p = paper("heads.classification", "classification")(X[0], W, b)
    np.testing.assert_allclose(jax.nn.softmax(classification_logits(X[0], head)), p, **TIGHT)


def test_lines_of_the_vision_transformer(x64):
    """Lines 1 to 4 and 12, and of each layer lines 7 and 10, which are Algorithm 9's lines 5 and 7 in the library."""
    hp = hyperparameters()
    params, I = random_parameters(hp), draw(6, 6, 5)
    _, values = reap(vision_transformer)(I, params, hp)
    recorded = lines_of(
        "vision.vision_transformer",
        "vision_transformer",
        I,
        as_printed(params, hp),
        hp.P,
        hp.grid,
        hp.encoder.epsilon,
    )
    for number in (1, 2, 3, 4, 12):
        (X,) = recorded[number, "X"]
        np.testing.assert_allclose(values[f"vision_transformer/{number}.X"].T, X, **TIGHT)
    (X,) = lines_of("vision.patchify", "patchify", I, hp.P)[5, "X"]
    np.testing.assert_array_equal(values["vision_transformer/patchify/5.X"].T, X)
    for number, of_library in ((7, 5), (10, 7)):
        for i, X in enumerate(recorded[number, "X"]):
            np.testing.assert_allclose(values[f"vision_transformer/{of_library}.X"][i].T, X, **TIGHT)
