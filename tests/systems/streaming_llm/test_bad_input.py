"""What streams with sinks refuse, by its message; nan where values cannot be seen; and what it warns of."""

import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters, ETransformerHyperparameters, init_d_transformer
from formal_tx.attending import Attending
from formal_tx.hyperparameters import learned
from formal_tx.inference.decoding import d_prefill
from formal_tx.long_context import streaming_llm
from formal_tx.long_context.lm_infinite import lm_infinite_cache
from formal_tx.positional import Rotary, interleaved_sinusoids

HP = DTransformerHyperparameters(l_max=20, L=2, H=4, H_kv=2, d_e=8, d_mlp=5, N_V=7, table=None, rotate=Rotary())
PARAMS = init_d_transformer(jax.random.key(0), HP)
X = jnp.array([1, 2, 3])
Q, K, V = np.zeros((4, 6, 2), np.float32), np.zeros((2, 6, 2), np.float32), np.zeros((2, 6, 3), np.float32)
SIZES = {"sinks": 2, "window": 3}
MODEL = {"params": PARAMS, "hyperparameters": HP}
CACHE = streaming_llm.streaming_cache(PARAMS, HP, **SIZES)

GOOD = {
    "streaming_attention": {"Q": Q, "K": K, "V": V, **SIZES},
    "streaming_attend": MODEL | SIZES,
    "streaming_logits": {"x": X, **MODEL, **SIZES},
    "streaming_cache": MODEL | SIZES,
    "streaming_prefill": {"x": X, **MODEL, **SIZES},
    "streaming_step": {"token": jnp.array(1), "cache": CACHE, **MODEL},
}
SIZED = [name for name in GOOD if name != "streaming_step"]
MODELLED = [name for name in SIZED if name != "streaming_attention"]
READING = ["streaming_logits", "streaming_prefill"]


def call(name, **changes):
    return getattr(streaming_llm, name)(**GOOD[name] | changes)


def refuses(name, error, message, **changes):
    with pytest.raises(error, match=re.escape(message)):
        call(name, **changes)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_call(name):
    call(name)


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize(
    ("size", "value", "at_least"),
    [
        ("sinks", -1, 0),
        ("sinks", 1.0, 0),
        ("sinks", True, 0),
        ("sinks", None, 0),
        ("window", 0, 1),
        ("window", -3, 1),
        ("window", None, 1),
        ("window", np.inf, 1),
    ],
)
def test_sizes(name, size, value, at_least):
    message = f"{name}: {size} is {value!r}, expected an integer of at least {at_least}"
    refuses(name, ValueError, message, **{size: value})


@pytest.mark.parametrize("name", SIZED)
def test_the_window_has_to_be_said(name):
    arguments = {key: value for key, value in GOOD[name].items() if key != "window"}
    with pytest.raises(TypeError, match=r"missing .*argument: 'window'"):
        getattr(streaming_llm, name)(**arguments)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"Q": Q[:, :0], "K": K[:, :0], "V": V[:, :0]}, ValueError, "Q is empty, at least one token is needed"),
        ({"K": K[:, :5]}, ValueError, "K has shape (2, 5, 2), expected (..., l, d_attn) with l = 6"),
        ({"K": K[..., :1]}, ValueError, "K has shape (2, 6, 1), expected (..., l, d_attn) with d_attn = 2"),
        ({"Q": Q[:3]}, ValueError, "an H_kv that divides H"),
        ({"V": V[:1]}, ValueError, "V (1, 6, 3)"),
        ({"Q": Q.astype(int)}, TypeError, "Q has dtype int64, expected a floating dtype"),
        ({"Q": "queries"}, TypeError, "Q has dtype"),
        ({"attending": None}, TypeError, "attending is a NoneType, expected Attending"),
        ({"Q": np.full_like(Q, np.nan)}, ValueError, "Q holds nan, first at index [0, 0, 0]"),
    ],
)
def test_heads(changes, error, message):
    refuses("streaming_attention", error, message, **changes)


def test_an_odd_head_cannot_turn():
    odd = Attending(rotate=Rotary())
    refuses("streaming_attention", ValueError, "Rotary: 3 of d_attn = 3", Q=V[:, :, :3], K=V, attending=odd)


@pytest.mark.parametrize("name", MODELLED)
@pytest.mark.parametrize(("table", "called"), [(learned, "learned"), (interleaved_sinusoids, "<function interleaved")])
def test_absolute_positions(name, table, called):
    hp = replace(HP, table=table)
    params = init_d_transformer(jax.random.key(0), hp)
    message = f"{name}: hyperparameters.table is {called}"
    refuses(name, ValueError, message, hyperparameters=hp, params=params)


@pytest.mark.parametrize("name", MODELLED)
def test_windows_of_its_own(name):
    message = f"{name}: hyperparameters.windows is (None, 4), expected (None,)"
    refuses(name, ValueError, message, hyperparameters=replace(HP, windows=(None, 4)))


@pytest.mark.parametrize("name", MODELLED)
def test_another_architecture_and_other_parameters(name):
    encoder = ETransformerHyperparameters(l_max=20, L=2, H=4, d_e=8, d_mlp=5, N_V=7)
    refuses(name, TypeError, f"{name}: hyperparameters is a ETransformerHyperparameters", hyperparameters=encoder)
    refuses(name, ValueError, f"{name}: params.layers", hyperparameters=replace(HP, L=3))


@pytest.mark.parametrize("name", READING)
def test_token_ids(name):
    refuses(name, ValueError, f"{name}: x[1] is 7, outside [0, N_V) = [0, 7)", x=[1, 7])
    refuses(name, ValueError, f"{name}: x[0] is -1", x=[-1])
    refuses(name, ValueError, f"{name}: x is empty", x=np.zeros(0, int))
    refuses(name, ValueError, f"{name}: x is a single token", x=1)
    refuses(name, TypeError, f"{name}: x has dtype float", x=[0.5])


def test_more_tokens_than_l_max_are_welcome():
    assert call("streaming_logits", x=np.ones(50, int)).shape == (50, HP.N_V)


def test_a_traced_id_out_of_range_is_nan():
    logits = jax.jit(lambda x: call("streaming_logits", x=x))(jnp.array([[1, 9, 1], [1, 1, 1]]))
    assert np.isnan(logits[0, 1:]).all()
    assert np.isfinite(logits[1]).all()


def test_a_cache_of_more_tokens_than_the_model_was_trained_with():
    with pytest.warns(UserWarning, match=r"first \+ window is 21, more than l_max = 20"):
        call("streaming_logits", sinks=4, window=17)


# The cache


def test_a_cache_of_keys_that_are_turned_already():
    turned = d_prefill(X, PARAMS, HP)
    refuses("streaming_step", TypeError, "cache is a KeyValueCache, expected SinkCache", cache=turned)


def test_a_cache_of_the_other_system():
    other = lm_infinite_cache(PARAMS, HP, first=2, window=3, ceiling=3)
    message = "cache is one of FirstAndNear(first=2, window=3, ceiling=3), expected one that streaming_prefill made"
    refuses("streaming_step", ValueError, message, cache=other)


def test_a_cache_with_other_windows_or_of_another_model():
    wider = CACHE.replace(sight=replace(CACHE.sight, window=4))
    message = "cache.kept.K has shape (2, 2, 5, 2), expected (2, 2, 6, 2)"
    refuses("streaming_step", ValueError, message, cache=wider)
    hp = replace(HP, H_kv=1)
    message = "cache.kept.K has shape (2, 2, 5, 2), expected (2, 1, 5, 2)"
    one_head = init_d_transformer(jax.random.key(0), hp)
    refuses("streaming_step", ValueError, message, hyperparameters=hp, params=one_head)


def test_a_cache_of_another_dtype():
    half = jax.tree.map(lambda A: A.astype(jnp.bfloat16), CACHE.kept)
    message = "cache.kept.K has dtype bfloat16, expected float32, which the parameters have"
    refuses("streaming_step", TypeError, message, cache=CACHE.replace(kept=half))


@pytest.mark.parametrize(
    ("token", "error", "message"),
    [
        (7, ValueError, "token is 7, outside [0, N_V) = [0, 7)"),
        (-1, ValueError, "token is -1"),
        ([1, 2], ValueError, "token has shape (2,), expected (): one for each sequence of the cache"),
        (0.5, TypeError, "token has dtype float"),
    ],
)
def test_a_token(token, error, message):
    refuses("streaming_step", error, message, token=token)


@pytest.mark.parametrize(
    ("S", "error", "message"),
    [
        (np.zeros((2, 0)), ValueError, "S has shape (2, 0), expected (..., ℓ) with at least one score"),
        (1.0, ValueError, "S has shape ()"),
        (np.zeros(3, int), TypeError, "S has dtype int64, expected a floating dtype"),
        (None, TypeError, "S is None, expected an array of numbers"),
        (np.array([0.0, np.nan]), ValueError, "S holds nan, first at index [1]"),
    ],
)
def test_softmax_off_by_one(S, error, message):
    with pytest.raises(error, match=re.escape(f"softmax_off_by_one: {message}")):
        streaming_llm.softmax_off_by_one(S)
