"""What attention to the first tokens and the near ones refuses, what its decoders refuse, and what they warn of."""

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
from formal_tx.long_context import first_and_near_decoder, lm_infinite, streaming_llm
from formal_tx.long_context.first_and_near import FirstAndNear
from formal_tx.long_context.lm_infinite import lambda_sight
from formal_tx.long_context.streaming_llm import streaming_sight
from formal_tx.positional import Rotary, interleaved_sinusoids

HP = DTransformerHyperparameters(l_max=20, L=2, H=4, H_kv=2, d_e=8, d_mlp=5, N_V=7, table=None, rotate=Rotary())
PARAMS = init_d_transformer(jax.random.key(0), HP)
X = jnp.array([1, 2, 3])
Q, K, V = np.zeros((4, 6, 2), np.float32), np.zeros((2, 6, 2), np.float32), np.zeros((2, 6, 3), np.float32)
SIGHT = streaming_sight(sinks=2, window=3)
MODEL = {"params": PARAMS, "hyperparameters": HP}
CACHE = first_and_near_decoder.sighted_cache(PARAMS, HP, SIGHT)

ATTENTIONS = {
    "lambda_attention": (lm_infinite, {"first": 2, "window": 3, "ceiling": 3}),
    "streaming_attention": (streaming_llm, {"sinks": 2, "window": 3}),
}
GOOD = {name: {"Q": Q, "K": K, "V": V, **sizes} for name, (_, sizes) in ATTENTIONS.items()} | {
    "sighted_attend": MODEL | {"sight": SIGHT},
    "sighted_logits": {"x": X, **MODEL, "sight": SIGHT},
    "sighted_cache": MODEL | {"sight": SIGHT},
    "sighted_prefill": {"x": X, **MODEL, "sight": SIGHT},
    "sighted_step": {"token": jnp.array(1), "cache": CACHE, **MODEL},
}
MODELLED = ["sighted_attend", "sighted_logits", "sighted_cache", "sighted_prefill"]
READING = ["sighted_logits", "sighted_prefill"]


def call(name, **changes):
    module, _ = ATTENTIONS.get(name, (first_and_near_decoder, None))
    return getattr(module, name)(**GOOD[name] | changes)


def refuses(name, error, message, **changes):
    with pytest.raises(error, match=re.escape(message)):
        call(name, **changes)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_call(name):
    call(name)


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
@pytest.mark.parametrize("name", ATTENTIONS)
def test_heads(name, changes, error, message):
    refuses(name, error, message, **changes)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_an_odd_head_cannot_turn(name):
    odd = Attending(rotate=Rotary())
    refuses(name, ValueError, "Rotary: 3 of d_attn = 3", Q=V[:, :, :3], K=V, attending=odd)


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
    assert call("sighted_logits", x=np.ones(50, int)).shape == (50, HP.N_V)


def test_a_traced_id_out_of_range_is_nan():
    logits = jax.jit(lambda x: call("sighted_logits", x=x))(jnp.array([[1, 9, 1], [1, 1, 1]]))
    assert np.isnan(logits[0, 1:]).all()
    assert np.isfinite(logits[1]).all()


@pytest.mark.parametrize(("size", "value"), [("window", 21), ("ceiling", 21)])
def test_distances_that_the_model_may_not_know(size, value):
    sight = lambda_sight(**{"window": 3, "ceiling": 3, size: value})
    with pytest.warns(UserWarning, match=r"the greater of window and ceiling is 21, more than l_max = 20"):
        call("sighted_logits", sight=sight)


def test_a_cache_of_more_tokens_than_the_model_was_trained_with():
    with pytest.warns(UserWarning, match=r"first \+ window is 21, more than l_max = 20"):
        call("sighted_logits", sight=streaming_sight(sinks=4, window=17))


@pytest.mark.parametrize("name", MODELLED)
def test_what_is_no_sight(name):
    message = f"{name}: sight is a int, expected FirstAndNear, as lambda_sight and streaming_sight make it"
    refuses(name, TypeError, message, sight=4)


@pytest.mark.parametrize(("size", "at_least"), [("first", 0), ("window", 1), ("ceiling", 0)])
def test_sizes_of_a_sight(size, at_least):
    for value in (at_least - 1, 2.0, True):
        message = f"FirstAndNear: {size} is {value!r}, expected an integer of at least {at_least}"
        with pytest.raises(ValueError, match=re.escape(message)):
            FirstAndNear(**{"first": 2, "window": 3, "ceiling": 3, size: value})


# The cache


def test_a_cache_of_keys_that_are_turned_already():
    turned = d_prefill(X, PARAMS, HP)
    refuses("sighted_step", TypeError, "cache is a KeyValueCache, expected SinkCache", cache=turned)


def test_a_cache_with_other_windows_or_of_another_model():
    wider = CACHE.replace(sight=replace(CACHE.sight, window=4))
    message = "cache.kept.K has shape (2, 2, 5, 2), expected (2, 2, 6, 2)"
    refuses("sighted_step", ValueError, message, cache=wider)
    hp = replace(HP, H_kv=1)
    message = "cache.kept.K has shape (2, 2, 5, 2), expected (2, 1, 5, 2)"
    one_head = init_d_transformer(jax.random.key(0), hp)
    refuses("sighted_step", ValueError, message, hyperparameters=hp, params=one_head)


def test_a_cache_of_another_dtype():
    half = jax.tree.map(lambda A: A.astype(jnp.bfloat16), CACHE.kept)
    message = "cache.kept.K has dtype bfloat16, expected float32, which the parameters have"
    refuses("sighted_step", TypeError, message, cache=CACHE.replace(kept=half))


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
    refuses("sighted_step", error, message, token=token)
