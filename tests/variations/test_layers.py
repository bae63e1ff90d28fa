"""What is true of norms, of where they stand, and of the MLP, whatever the weights are."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formal_tx.activations import gelu, gelu_sigmoid, gelu_tanh, silu
from formal_tx.linear import affine
from formal_tx.mlp import mlp
from formal_tx.normalization import layer_norm, rms_norm, rms_norm_about_one
from formal_tx.parameters import BranchParameters
from formal_tx.placement import BRANCH, PARALLEL, PARALLEL_ONE_NORM, POST, PRE, SANDWICH, SUB_LN

from .decoders import L, close, decoder, few, logits, normal, seeds

# Norms


@few
@given(seed=seeds, scale=st.floats(1e-3, 1e3))
def test_rms_norm_does_not_see_the_scale(seed, scale):
    e, gamma = normal(seed, 3, 7), normal(seed + 1, 7)
    close(rms_norm(scale * e, gamma, epsilon=0.0), rms_norm(e, gamma, epsilon=0.0))
    close(rms_norm_about_one(e, gamma - 1, epsilon=1e-5), rms_norm(e, gamma, epsilon=1e-5))


@few
@given(seed=seeds)
def test_layer_norm_is_rms_norm_of_what_has_no_mean(seed):
    e, gamma, beta = normal(seed, 3, 7), normal(seed + 1, 7), normal(seed + 2, 7)
    centred = e - e.mean(axis=-1, keepdims=True)
    close(layer_norm(e, gamma, beta), rms_norm(centred, gamma, beta))
    close(layer_norm(e, gamma), layer_norm(e, gamma, jnp.zeros(7)))


# Placement


def _without_mlp(params):
    """The model whose MLPs give 0."""
    layers = params.layers.replace(
        W_mlp2=jnp.zeros_like(params.layers.W_mlp2), b_mlp2=jnp.zeros_like(params.layers.b_mlp2)
    )
    return params.replace(layers=layers)


@pytest.mark.parametrize("placement", [PARALLEL, PARALLEL_ONE_NORM], ids=["two norms", "one norm"])
def test_without_an_mlp_parallel_is_sequential(placement):
    hp, params, x = decoder(placement=placement)
    sequential = replace(hp, placement=PRE)
    if placement.one_norm:  # a norm that nothing depends on
        layers = params.layers.replace(gamma_2=params.layers.gamma_1, beta_2=params.layers.beta_1)
        full = params.replace(layers=layers)
    else:
        full = params
    close(logits(hp, _without_mlp(params), x), logits(sequential, _without_mlp(full), x))
    assert np.abs(logits(hp, params, x) - logits(sequential, full, x)).max() > 1e-3


@pytest.mark.parametrize(
    "placement", [PRE, SUB_LN, SANDWICH, BRANCH, POST], ids=["pre", "sub", "both", "branch", "post"]
)
def test_sub_layers_that_give_nothing_leave_the_residual_stream_alone(placement):
    hp, params, x = decoder(placement=placement, layer_scale=True, final_norm=False)
    branches = {n: getattr(params.layers, n).replace(scale=jnp.zeros((2, 8))) for n in ("branch_1", "branch_2")}
    nothing = params.replace(layers=params.layers.replace(**branches))
    e = params.W_e[x] + params.W_p[:L]
    if placement is POST:
        for i in range(2):
            for n in (1, 2):
                gamma, beta = (getattr(params.layers, f"{name}_{n}")[i] for name in ("gamma", "beta"))
                e = layer_norm(e, gamma, beta, epsilon=hp.epsilon)
    close(logits(hp, nothing, x), e @ params.W_u.T)


def _norm_unless_0(e, gamma, beta, *, epsilon):
    """Layer norm, but with γ = 0 the identity."""
    return jnp.where((gamma == 0).all(), e, layer_norm(e, gamma, beta, epsilon=epsilon))


def test_a_sandwich_whose_outer_norms_change_nothing_is_pre_norm():
    hp, params, x = decoder(placement=SANDWICH, norm=_norm_unless_0)
    bare = {n: BranchParameters(jnp.zeros((2, 8)), jnp.zeros((2, 8))) for n in ("branch_1", "branch_2")}
    without = dict.fromkeys(bare)
    found = logits(hp, params.replace(layers=params.layers.replace(**bare)), x)
    pre = logits(replace(hp, placement=PRE), params.replace(layers=params.layers.replace(**without)), x)
    close(found, pre)
    assert np.abs(found - logits(hp, params, x)).max() > 1e-3


# The MLP


@few
@given(seed=seeds)
def test_a_gate_of_ones_is_no_gate(seed):
    hp, params, _ = decoder(gated=True, activation=jnp.ones_like)
    W, X = jax.tree.map(lambda W: W[0], params.layers).mlp, normal(seed, 5, 8)
    linear = affine(affine(X, W.W_in, W.b_in), W.W_out, W.b_out)
    close(mlp(X, W, hp.activation, lambda X, gamma, beta: X), linear)


@pytest.mark.parametrize(("approximation", "bound"), [(gelu_tanh, 4.8e-4), (gelu_sigmoid, 0.021)])
def test_how_far_the_approximations_of_gelu_are(approximation, bound):
    x = jnp.linspace(-8, 8, 40_001)
    furthest = np.abs(approximation(x) - gelu(x)).max()
    assert 0.9 * bound < furthest < bound
    close(silu(x), x / (1 + np.exp(-x)))
