"""What linear attention refuses, by its message; and nan where values cannot be seen."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters, init_d_transformer, init_mh_attention
from formal_tx.architectures import d_layers
from formal_tx.long_context import feature_maps, linear_attention, linear_transformer
from formal_tx.positional import Rotary

RNG = np.random.default_rng(0)
Q, K, V = (RNG.standard_normal((4, d)).astype(np.float32) for d in (3, 3, 2))
OMEGA = RNG.standard_normal((3, 5)).astype(np.float32)
STATE = linear_attention.empty_state((), 3, 2)
HEADS = init_mh_attention(jax.random.key(0), d_x=3, d_z=3, d_attn=5, d_mid=2, d_out=3, H=2)
HP = DTransformerHyperparameters(l_max=6, L=2, H=2, d_e=6, d_mlp=5, N_V=7)
PARAMS = init_d_transformer(jax.random.key(1), HP)
STATES = linear_transformer.empty_states(HP)
X = np.array([1, 2, 3])

GOOD = {
    "linear_attention": {"Q": Q, "K": K, "V": V},
    "causal_linear_attention": {"Q": Q, "K": K, "V": V},
    "continue_linear_attention": {"Q": Q, "K": K, "V": V, "state": STATE},
    "linear_attention_step": {"q": Q[0], "k": K[0], "v": V[0], "state": STATE},
    "linear_mh_attention": {"X": Q, "Z": Q, "params": HEADS},
    "d_linear_transformer_logits": {"x": X, "params": PARAMS, "hyperparameters": HP},
    "d_linear_extend": {"x": X, "t": 0, "states": STATES, "params": PARAMS, "hyperparameters": HP},
    "empty_states": {"hyperparameters": HP},
    "favor": {"Omega": OMEGA},
    "fourier": {"Omega": OMEGA},
    "relu": {"Omega": OMEGA},
    "random_directions": {"key": jax.random.key(0), "E": 3, "m": 5},
}


def call(name, **changes):
    module = next(m for m in (linear_attention, linear_transformer, feature_maps) if hasattr(m, name))
    return getattr(module, name)(**GOOD[name] | changes)


def no_features(X):
    return X.sum()


def identity(X):
    return X


def two_heads(n=5, H=2):
    return linear_attention.empty_state((2, H), n, 3)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_call(name):
    call(name)


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        ("linear_attention", {"Q": Q[0]}, ValueError, "Q has shape (3,), expected (..., l_x, E)"),
        ("linear_attention", {"K": K[:, :2]}, ValueError, "K has shape (4, 2), expected (..., l_z, E) with E = 3"),
        ("linear_attention", {"V": V[:3]}, ValueError, "V has shape (3, 2), expected (..., l_z, D) with l_z = 4"),
        ("linear_attention", {"K": K[:0], "V": V[:0]}, ValueError, "K is empty, at least one token is needed"),
        ("linear_attention", {"Q": Q.astype(int)}, TypeError, "Q has dtype int64, expected a floating dtype"),
        (
            "linear_attention",
            {"Q": np.stack([Q] * 2), "K": np.stack([K] * 3)},
            ValueError,
            "the leading axes are Q (2,) and K (3,), expected axes that fit each other",
        ),
        ("linear_attention", {"feature_map": "elu"}, TypeError, "feature_map is a str, expected a FeatureMap or a"),
        (
            "linear_attention",
            {"feature_map": no_features},
            ValueError,
            "the feature map makes shape () of Q of shape (4, 3), expected (4, 'n')",
        ),
        (
            "linear_attention",
            {"feature_map": feature_maps.favor(OMEGA[:2])},
            ValueError,
            "the feature map does not take Q of shape (4, 3)",
        ),
        (
            "linear_attention",
            {"Q": -np.ones_like(Q), "feature_map": identity},
            ValueError,
            "the feature map makes -1 of Q at index [0, 0], expected numbers of at least 0",
        ),
        ("linear_attention", {"epsilon": -1e-9}, ValueError, "epsilon is -1e-09, expected a finite number of at least"),
        ("linear_attention", {"epsilon": np.inf}, ValueError, "epsilon is inf, expected a finite number of at least 0"),
        ("linear_attention", {"epsilon": "small"}, TypeError, "epsilon is 'small', expected a number"),
        ("linear_attention", {"lengths": 0}, ValueError, "lengths are 0, expected each in [1, ℓ_z] = [1, 4]"),
        ("linear_attention", {"lengths": 5}, ValueError, "lengths are 5, expected each in [1, ℓ_z] = [1, 4]"),
        ("linear_attention", {"lengths": 2.0}, TypeError, "lengths have dtype float64, expected integers"),
        ("linear_attention", {"V": V * np.nan}, ValueError, "V holds nan, first at index [0, 0]"),
        (
            "causal_linear_attention",
            {"Q": Q[:3]},
            ValueError,
            "K has shape (4, 3), expected (..., l, E) with l = 3, the size that Q gives it; here it is 4",
        ),
        ("causal_linear_attention", {"chunk": 0}, ValueError, "chunk is 0, expected an integer of at least 1"),
        ("causal_linear_attention", {"chunk": -64}, ValueError, "chunk is -64, expected an integer of at least 1"),
        ("causal_linear_attention", {"chunk": 2.5}, ValueError, "chunk is 2.5, expected an integer of at least 1"),
        ("continue_linear_attention", {"state": None}, TypeError, "state is a NoneType, expected LinearState"),
        (
            "continue_linear_attention",
            {"state": linear_attention.empty_state((2,), 3, 2)},
            ValueError,
            "state.S has shape (2, 3, 2), expected (3, 2): that of another batch, feature map or model?",
        ),
        (
            "continue_linear_attention",
            {"feature_map": feature_maps.favor(OMEGA)},
            ValueError,
            "state.S has shape (3, 2), expected (10, 2): that of another batch, feature map or model?",
        ),
        ("linear_attention_step", {"v": V[:2]}, ValueError, "state.S has shape (3, 2), expected (2, 3, 2): that of"),
        ("linear_attention_step", {"k": K[0, :2]}, ValueError, "k has shape (2,), expected (..., E) with E = 3"),
        ("linear_mh_attention", {"params": PARAMS}, TypeError, "params is a DTransformerParameters, expected MHAtt"),
        (
            "linear_mh_attention",
            {"params": HEADS.replace(W_o=HEADS.W_o[:, :3])},
            ValueError,
            "params.W_o has shape (3, 3), expected (d_out, H·d_mid) with H·d_mid = 2 × 2 = 4",
        ),
        ("linear_mh_attention", {"X": Q[:, :2]}, ValueError, "params.heads.W_q has shape (2, 5, 3), expected"),
        ("linear_mh_attention", {"causal": 1}, TypeError, "causal is 1, expected True or False"),
        (
            "linear_mh_attention",
            {"causal": True, "Z": Q[:3]},
            ValueError,
            "Z has shape (3, 3), expected (..., l, d_z) with l = 4",
        ),
        (
            "linear_mh_attention",
            {"causal": True, "lengths": 2},
            ValueError,
            "lengths are given, expected none where causal",
        ),
        (
            "d_linear_transformer_logits",
            {"x": np.arange(7)},
            ValueError,
            "x has 7 tokens, more than l_max = 6",
        ),
        ("d_linear_extend", {"x": X[:0]}, ValueError, "x has shape (0,), expected at least one token for each"),
        ("d_linear_extend", {"x": X + 5}, ValueError, "x[1] is 7, outside [0, N_V) = [0, 7)"),
        ("d_linear_extend", {"t": 4}, ValueError, "t is 4, outside [0, l_max - n + 1) = [0, 4)"),
        ("d_linear_extend", {"t": -1}, ValueError, "t is -1, outside [0, l_max - n + 1) = [0, 4)"),
        ("d_linear_extend", {"t": np.array([0, 1])}, ValueError, "t has shape (2,), expected () or (): one position"),
        ("d_linear_extend", {"states": None}, TypeError, "states is a NoneType, expected LinearState, as empty_states"),
        (
            "d_linear_extend",
            {"x": np.stack([X] * 3)},
            ValueError,
            "states.S has shape (2, 2, 3, 3) and dtype float32, expected (2, 3, 2, 3, 3) and float32",
        ),
        (
            "d_linear_extend",
            {"states": jax.tree.map(lambda A: A.astype(jnp.bfloat16), STATES)},
            ValueError,
            "states.S has shape (2, 2, 3, 3) and dtype bfloat16, expected (2, 2, 3, 3) and float32",
        ),
        ("empty_states", {"hyperparameters": None}, TypeError, "hyperparameters is a NoneType, expected DTransformer"),
        ("favor", {"Omega": OMEGA[0]}, ValueError, "Omega has shape (5,), expected (E, m)"),
        ("favor", {"Omega": np.ones((2, 3), int)}, TypeError, "Omega has dtype int64, expected a floating dtype"),
        ("favor", {"temperature": 0.0}, ValueError, "temperature is 0.0, expected a finite number greater than 0"),
        ("fourier", {"smoothing": 0.5}, ValueError, "smoothing is 0.5, expected at least 1: a weight might be negat"),
        ("fourier", {"temperature": -1}, ValueError, "temperature is -1, expected a finite number greater than 0"),
        ("relu", {"Omega": None}, TypeError, "Omega is None, expected an array of numbers"),
        ("random_directions", {"m": 0}, ValueError, "m is 0, expected an integer of at least 1"),
        ("random_directions", {"E": 0}, ValueError, "E is 0, expected an integer of at least 1"),
        ("random_directions", {"key": 0}, TypeError, "key is int, expected a key"),
        ("random_directions", {"orthogonal": "no"}, TypeError, "orthogonal is 'no', expected True or False"),
    ],
)
def test_what_is_refused(name, changes, error, message):
    with pytest.raises(error, match=f"^{re.escape(f'{name}: {message}')}"):
        call(name, **changes)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"rotate": Rotary(), "d_attn": 4}, "rotate"),
        ({"windows": (None, 3)}, "windows"),
        ({"scale": 0.5}, "scale"),
    ],
)
def test_variations_of_softmax_attention_are_refused(options, named):
    hp = DTransformerHyperparameters(l_max=6, L=2, H=2, d_e=6, d_mlp=5, N_V=7, **options)
    params = init_d_transformer(jax.random.key(1), hp)
    message = (
        f"^d_linear_transformer_logits: hyperparameters.{named} changes softmax attention, expected none that does"
    )
    with pytest.raises(ValueError, match=message):
        linear_transformer.d_linear_transformer_logits(X, params, hp)
    with pytest.raises(ValueError, match=f"^d_linear_extend: hyperparameters.{named} changes softmax attention"):
        linear_transformer.d_linear_extend(X, 0, STATES, params, hp)


def test_a_layer_with_a_window_is_refused():
    hp = DTransformerHyperparameters(l_max=6, L=2, H=2, d_e=6, d_mlp=5, N_V=7, windows=(3,))
    with pytest.raises(ValueError, match=r"^linear_attend: the hyperparameters have windows, expected none"):
        d_layers(jnp.asarray(X), PARAMS, hp, linear_transformer.linear_attend())


def test_states_without_a_causal_mask_are_refused():
    attend = linear_transformer.linear_attend(causal=False)
    with pytest.raises(ValueError, match=r"^linear_attend: the layers carry states, expected none: only causal"):
        d_layers(jnp.asarray(X), PARAMS, HP, attend, states=STATES)


# What cannot be seen


def all_nan(A):
    return bool(jnp.isnan(A).all())


def test_a_traced_negative_feature_gives_nan():
    def run(Q):
        return linear_attention.linear_attention(Q, K, V, identity), linear_attention.causal_linear_attention(
            Q, K, V, identity
        )

    for Y in jax.jit(run)(-jnp.abs(Q)):
        assert all_nan(Y)


@pytest.mark.parametrize("length", [0, 5, -1])
def test_a_traced_length_out_of_range_gives_nan(length):
    run = jax.jit(lambda lengths: linear_attention.linear_attention(Q, K, V, lengths=lengths))
    assert all_nan(run(jnp.asarray(length)))
    assert not all_nan(run(jnp.asarray(2)))


def test_a_traced_temperature_or_smoothing_out_of_range_gives_nan():
    def favor(t):
        return feature_maps.favor(OMEGA, t)(jnp.asarray(Q))

    def fourier(s):
        return feature_maps.fourier(OMEGA, s)(jnp.asarray(Q))

    assert all_nan(jax.jit(favor)(0.0))
    assert all_nan(jax.jit(favor)(-1.0))
    assert all_nan(jax.jit(fourier)(0.5)[..., -1])


@pytest.mark.parametrize(("t", "token"), [(6, 1), (-1, 1), (0, 7), (0, -1)])
def test_a_traced_position_or_id_out_of_range_gives_nan(t, token):
    def step(x, t):
        return linear_transformer.d_linear_extend(x, t, STATES, PARAMS, HP)[0]

    assert all_nan(jax.jit(step)(jnp.array([token]), jnp.asarray(t)))
