"""Prompts that begin alike: what is computed from what is stored, whose it is, and how much of it there is."""

import gc
import re
import subprocess
import sys
from functools import cache as once
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formal_tx import DTransformerHyperparameters, d_inference, d_transformer_logits, init_d_transformer
from formal_tx.crosscheck.variations.architectures import random_parameters
from formal_tx.inference import d_prefill, d_step, draw, prefix_cache
from formal_tx.inference.prefix_cache import PrefixCache
from formal_tx.positional import Alibi, RelativeBuckets, Rotary
from formal_tx.quantization import quantize

SIZES = {"l_max": 40, "L": 3, "H": 4, "d_e": 8, "d_mlp": 7, "N_V": 5, "d_attn": 6, "d_mid": 3}
MODELS = {
    "as printed": {},
    "rotary, grouped, windows": {"table": None, "rotate": Rotary(), "H_kv": 2, "windows": (None, 3)},
    "rotary, all windows": {"table": None, "rotate": Rotary(), "windows": (7,)},
    "alibi, one key for all": {"table": None, "score": Alibi(), "H_kv": 1},
    "buckets": {"table": None, "score": RelativeBuckets(rows=8, furthest=20, bidirectional=False)},
}
PLENTY = 2**30


@pytest.fixture(scope="module", autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


@once
def model(name="as printed"):
    """Parameters, none of them trivial, and hyperparameters."""
    hp = DTransformerHyperparameters(**SIZES | MODELS[name])
    return jax.tree.map(jnp.asarray, random_parameters(np.random.default_rng(0), hp)), hp


def prompt(length, seed=0):
    return np.random.default_rng(seed).integers(0, SIZES["N_V"], length)


def expected(x, params, hp):
    """The cache and the logits by the whole forward pass, in which nothing is stored; one compilation for all x."""
    whole = np.pad(x, (0, hp.l_max - len(x)))
    return d_prefill(whole, params, hp), d_transformer_logits(whole, params, hp)[len(x) - 1]


def require_right(found, x, params, hp):
    """That `found` is the cache and the logits of `x`, up to rounding, and that nothing else is in the cache."""
    (cache, logits), (right_cache, right_logits) = found, expected(x, params, hp)
    np.testing.assert_allclose(logits, right_logits, rtol=0, atol=1e-11)
    for a, b in zip(jax.tree.leaves(cache), jax.tree.leaves(right_cache), strict=True):
        np.testing.assert_allclose(a[..., : len(x), :], b[..., : len(x), :], rtol=0, atol=1e-11)
        assert (np.asarray(a[..., len(x) :, :]) == 0).all()


def require_same_bits(a, b):
    for A, B in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(A, B, strict=True)


def shared(x, y):
    """How many tokens two prompts have in common from their beginning, one by one."""
    n = 0
    while n < min(len(x), len(y)) and x[n] == y[n]:
        n += 1
    return n


def bytes_of(slots):
    """Keys and values of 3 layers and 4 heads in float64."""
    return 3 * 4 * slots * (6 + 3) * 8


def reused(prefixes, x, *of):
    """How many tokens of `x` did not have to be read."""
    before = prefixes.reused
    prefixes.prefill(x, *of)
    return prefixes.reused - before


# What is computed


@pytest.mark.parametrize(
    ("name", "chunk"),
    [
        pytest.param(name, chunk, marks=() if (i, chunk) == (0, 16) else pytest.mark.slow)
        for i, name in enumerate(MODELS)
        for chunk in (prefix_cache.CHUNK, 16)
    ],
)
@settings(deadline=None, derandomize=True, max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_prompts_that_begin_as_earlier_ones_did(name, chunk, seed):
    """Each goes on after any part of any other: the cache and the logits are right, and all that is shared is used."""
    rng, (params, hp), prefixes, earlier = np.random.default_rng(seed), model(name), PrefixCache(PLENTY), []
    with mock.patch.object(prefix_cache, "CHUNK", chunk):
        for _ in range(8):
            begin = earlier[rng.integers(len(earlier))] if earlier else []
            begin = begin[: rng.integers(len(begin) + 1)]
            length = rng.integers(max(len(begin), 1), hp.l_max + 1)
            x = np.append(begin, rng.integers(0, hp.N_V, length - len(begin))).astype(int)
            before = prefixes.hits, prefixes.reused, prefixes.read
            require_right(prefixes.prefill(x, params, hp), x, params, hp)
            n = min(max([shared(x, y) for y in earlier], default=0), len(x) - 1)
            assert (prefixes.hits, prefixes.reused, prefixes.read) == tuple(
                np.add(before, (n > 0, n, len(x) - n)).tolist()
            )
            earlier.append(x)


def test_parameters_in_int8():
    params, hp = model()
    params, prefixes, x = quantize(params), PrefixCache(PLENTY), prompt(30)
    prefixes.prefill(x[:20], params, hp)
    require_right(prefixes.prefill(x, params, hp), x, params, hp)
    assert prefixes.reused == 20


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("length", [1, 2, 16, 17, 40])
def test_the_same_prompt_gives_the_same_bits(name, length):
    """After a prompt that shares a part of it, and a longer one that then has its place."""
    (params, hp), prefixes, x = model(name), PrefixCache(PLENTY), prompt(length)
    prefixes.prefill(x[: length // 2 + 1], params, hp)
    first = prefixes.prefill(x, params, hp)
    assert reused(prefixes, x, params, hp) == length - 1
    require_same_bits(prefixes.prefill(x, params, hp), first)
    prefixes.prefill(np.append(x, prompt(40 - length, seed=1)), params, hp)
    require_same_bits(prefixes.prefill(x, params, hp), first)


def test_text_goes_on_as_algorithm_14_draws_it():
    (params, hp), prefixes, x, key = model(), PrefixCache(PLENTY), prompt(20), jax.random.key(0)
    prefixes.prefill(x[:13], params, hp)
    cache, logits = prefixes.prefill(x, params, hp)
    y = []
    for t in range(20, 30):
        y.append(int(draw(logits, 0.7, jax.random.fold_in(key, t))))
        logits, cache = d_step(y[-1], t, cache, params, hp)
    assert y == d_inference(x, params, hp, length=10, temperature=0.7, key=key).tolist()


@pytest.mark.parametrize("slots", [17, 24, 40])
def test_room_for_more(slots):
    (params, hp), prefixes, x = model(), PrefixCache(PLENTY), prompt(17)
    for _ in range(2):
        cache, logits = prefixes.prefill(x, params, hp, slots)
        assert cache.slots == slots
        require_right((cache, logits), x, params, hp)


def test_nan_of_another_prompt_stays_there():
    """A value that is nan makes nan of every token that is read with it: such a prompt is of no use to another."""
    params, hp = model()
    params = params.replace(W_e=params.W_e.at[4].set(jnp.nan))
    x, prefixes = np.array([1, 2, 3] * 6), PrefixCache(PLENTY)
    prefixes.prefill(x[:6], params, hp)
    _, logits = prefixes.prefill(np.where(np.arange(18) < 12, x, 4), params, hp)
    assert jnp.isnan(logits).all()
    assert prefixes.bytes == bytes_of(16)
    require_right(prefixes.prefill(x, params, hp), x, params, hp)
    assert prefixes.reused == 12


# Who may change what


@pytest.mark.parametrize("slots", [16, 40])
def test_what_is_given_away_may_be_consumed(slots):
    """Whoever decodes may donate the cache, as the library's own loops do: what is stored is another one."""
    (params, hp), prefixes, x = model(), PrefixCache(PLENTY), prompt(16)
    consume = jax.jit(lambda cache: jax.tree.map(lambda A: A * 0 + 1, cache), donate_argnums=0)
    kept = None
    for _ in range(3):
        given = prefixes.prefill(x, params, hp, slots)
        kept = jax.tree.map(np.array, given) if kept is None else kept
        require_same_bits(given, kept)
        consume(given[0])
        assert given[0].K.is_deleted()
        assert given[0].V.is_deleted()
    assert prefixes.hits == 2


def test_what_is_stored_is_not_consumed_by_what_goes_on_from_it():
    (params, hp), prefixes, x = model(), PrefixCache(PLENTY), prompt(16)
    first = prefixes.prefill(x, params, hp)
    for seed in range(1, 4):
        y = np.append(x[:10], prompt(6, seed))
        require_right(prefixes.prefill(y, params, hp), y, params, hp)
        require_same_bits(prefixes.prefill(x, params, hp), first)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_a_prompt_that_changes_in_place(dtype):
    """NumPy's arrays may be JAX's memory: the tokens that are compared are a copy."""
    (params, hp), prefixes, x = model(), PrefixCache(PLENTY), prompt(16).astype(dtype)
    before = x.copy()
    prefixes.prefill(x, params, hp)
    x[3:] = (x[3:] + 1) % hp.N_V
    assert reused(prefixes, x, params, hp) == 3
    require_right(prefixes.prefill(x, params, hp), x, params, hp)
    assert reused(prefixes, before, params, hp) == 15


# Whose it is


def test_another_model_finds_nothing():
    """Updated parameters, one array of them, equal numbers in other arrays; other windows, of the same shapes."""
    params, hp = model()
    prefixes, x = PrefixCache(PLENTY), prompt(16)
    prefixes.prefill(x, params, hp)
    others = [
        (jax.tree.map(lambda W: W * 1.5, params), hp),
        (params.replace(W_u=params.W_u * 2), hp),
        (jax.tree.map(jnp.copy, params), hp),
        (params, DTransformerHyperparameters(**SIZES, windows=(4,))),
        (quantize(params), hp),
    ]
    for other in others:
        assert reused(prefixes, x, *other) == 0
        assert reused(prefixes, x, *other) == 15
        require_right(prefixes.prefill(x, *other), x, *other)
    assert len(prefixes) == 6
    assert reused(prefixes, x, params.replace(), DTransformerHyperparameters(**SIZES)) == 15


def test_what_is_stored_of_a_model_goes_with_it():
    params, hp = model()
    own, prefixes = jax.tree.map(jnp.copy, params), PrefixCache(PLENTY)
    prefixes.prefill(prompt(16), params, hp)
    prefixes.prefill(prompt(20), own, hp)
    assert (len(prefixes), prefixes.bytes) == (2, bytes_of(16) + bytes_of(32))
    del own
    gc.collect()
    assert (len(prefixes), prefixes.bytes) == (1, bytes_of(16))


def test_parameters_that_may_change_in_place_find_nothing():
    params, hp = model()
    params, prefixes, x = jax.tree.map(np.array, params), PrefixCache(PLENTY), prompt(16)
    prefixes.prefill(x, params, hp)
    params.W_e[:] *= 2
    require_right(prefixes.prefill(x, params, hp), x, params, hp)
    gc.collect()
    assert (prefixes.hits, len(prefixes), prefixes.bytes) == (0, 0, 0)


# How much there is


def three():
    """Three prompts that share nothing but, with two of them, what is told."""
    return [np.append(first, prompt(15, seed=first)) for first in (0, 1, 2)]


def test_what_was_used_longest_ago_is_dropped():
    (params, hp), prefixes = model(), PrefixCache(2 * bytes_of(16))
    a, b, c = three()
    for x in (a, b, a[:9], c):  # a part of it is a use as well
        prefixes.prefill(x, params, hp)
    assert (len(prefixes), prefixes.bytes) == (2, 2 * bytes_of(16))
    assert reused(prefixes, a, params, hp) == 15
    assert reused(prefixes, c, params, hp) == 15
    assert reused(prefixes, b, params, hp) == 0  # now it is stored in place of a
    assert reused(prefixes, c, params, hp) == 15
    assert reused(prefixes, a, params, hp) == 0


def test_as_many_are_dropped_as_must_be():
    (params, hp), prefixes = model(), PrefixCache(bytes_of(16) + bytes_of(32) - 1)
    a, b, _ = three()
    for x in (a, b[:5]):
        prefixes.prefill(x, params, hp)
    assert prefixes.bytes == 2 * bytes_of(16)
    prefixes.prefill(np.append(2, prompt(30)), params, hp)
    assert (len(prefixes), prefixes.bytes) == (1, bytes_of(32))
    assert reused(prefixes, a, params, hp) == reused(prefixes, b, params, hp) == 0


def test_a_prompt_too_large_is_not_stored_and_drops_nothing():
    (params, hp), prefixes = model(), PrefixCache(bytes_of(32) - 1)
    a, x = three()[0], prompt(17)
    prefixes.prefill(a, params, hp)
    require_right(prefixes.prefill(x, params, hp), x, params, hp)
    longer = np.append(a, [1, 2])
    assert reused(prefixes, longer, params, hp) == 16
    assert (len(prefixes), prefixes.bytes) == (1, bytes_of(16))
    assert reused(prefixes, a, params, hp) == 15


def test_a_text_that_goes_on_is_stored_once():
    (params, hp), prefixes, x = model(), PrefixCache(PLENTY), prompt(40)
    for length in (5, 16, 33, 20):
        prefixes.prefill(x[:length], params, hp)
    assert (len(prefixes), prefixes.bytes) == (1, bytes_of(40))
    prefixes.prefill(np.append(x[:30], prompt(5, seed=1)), params, hp)
    assert len(prefixes) == 2


@settings(deadline=None, derandomize=True, max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_bytes_are_counted_and_bounded(seed):
    rng, (params, hp) = np.random.default_rng(seed), model()
    most = int(rng.integers(bytes_of(16), 4 * bytes_of(40)))
    prefixes = PrefixCache(most)
    for _ in range(12):
        x = rng.integers(0, hp.N_V, rng.integers(1, hp.l_max + 1))
        require_right(prefixes.prefill(x, params, hp), x, params, hp)
        held = sum(A.nbytes for entry in prefixes._entries for A in jax.tree.leaves(entry.cache))
        assert prefixes.bytes == held <= most
        if bytes_of(max(16, 1 << (len(x) - 1).bit_length()) if len(x) <= 32 else 40) <= most:
            assert reused(prefixes, x, params, hp) == len(x) - 1


def test_nothing_is_left_when_it_is_cleared():
    (params, hp), prefixes, x = model(), PrefixCache(PLENTY), prompt(16)
    prefixes.prefill(x, params, hp)
    prefixes.prefill(x, params, hp)
    prefixes.clear()
    assert (len(prefixes), prefixes.bytes) == (0, 0)
    assert reused(prefixes, x, params, hp) == 0
    assert (prefixes.hits, prefixes.reused, prefixes.read) == (1, 15, 33)


# How often anything is compiled

COUNT = """
import jax, numpy as np
import formal_tx
from formal_tx.inference.prefix_cache import PrefixCache

counted = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: counted.append(event) if event.endswith("backend_compile_duration") else None
)
hp = formal_tx.DTransformerHyperparameters(l_max=160, L=1, H=2, d_e=8, d_mlp=8, N_V=50)
params = jax.jit(formal_tx.init_d_transformer, static_argnums=1)(jax.random.key(0), hp)
prefixes, rng = PrefixCache(2**16), np.random.default_rng(0)
before = len(counted)
assert before > 0
for _ in range(3):
    x = rng.integers(0, 50, 128)
    for l in rng.permutation(128) + 1:
        prefixes.prefill(np.append(x[: rng.integers(l)], rng.integers(0, 50, l))[:l], params, hp)
assert prefixes.hits > 100
print(len(counted) - before)
"""


def test_prompt_lengths_compile_nothing_anew():
    """384 prompts of 128 lengths, in 4 buckets. Programs that read go by the bucket of a prompt and that of its rest.

    Those that copy go by the buckets of both prompts, those that make an empty cache, read the last token, or give the
    result away by that of one; and `jnp.zeros(())` is one more.
    """
    run = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True, timeout=300)
    assert 4 <= int(run.stdout) <= (1 + 2 + 3 + 4) + 4 * 4 + 3 * 4 + 1


# What is refused


@pytest.mark.parametrize("max_bytes", [0, -1, 1e9, True, None, "1"])
def test_no_number_of_bytes(max_bytes):
    message = f"PrefixCache: max_bytes is {max_bytes!r}, expected an integer of at least 1"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        PrefixCache(max_bytes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"x": 3}, ValueError, "x is a single token, expected a sequence (..., ℓ)"),
        ({"x": [[1, 2]]}, ValueError, "x has shape (1, 2), expected one sequence"),
        ({"x": []}, ValueError, "x is empty, at least one token is needed"),
        ({"x": [1] * 41}, ValueError, "x has 41 tokens, more than l_max = 40"),
        ({"x": [1, 5]}, ValueError, "x[1] is 5, outside [0, N_V) = [0, 5)"),
        ({"x": [1, -1]}, ValueError, "x[1] is -1, outside [0, N_V) = [0, 5)"),
        ({"x": [1.0]}, TypeError, "x has dtype float64, expected integers"),
        ({"slots": 2}, ValueError, "slots is 2, expected an integer of at least 3"),
        ({"slots": 41}, ValueError, "slots is 41, more than l_max = 40"),
        ({"params": None}, TypeError, "params is a NoneType, expected DTransformerParameters, as init_d_transformer"),
        ({"hyperparameters": None}, TypeError, "hyperparameters is a NoneType, expected DTransformerHyperparameters"),
    ],
)
def test_what_is_refused_changes_nothing(changes, error, message):
    params, hp = model()
    prefixes = PrefixCache(PLENTY)
    with pytest.raises(error, match=f"^PrefixCache.prefill: {re.escape(message)}"):
        prefixes.prefill(**{"x": [1, 2, 3], "params": params, "hyperparameters": hp} | changes)
    assert (len(prefixes), prefixes.hits, prefixes.reused, prefixes.read) == (0, 0, 0, 0)


def test_within_a_trace():
    """Of the prompt, of the parameters, and where neither is traced."""
    (params, hp), prefixes, x = model(), PrefixCache(PLENTY), prompt(3)
    for f, argument in (
        (lambda x: prefixes.prefill(x, params, hp), x),
        (lambda params: prefixes.prefill(x, params, hp), params),
        (lambda _: prefixes.prefill(x, params, hp), 0),
    ):
        with pytest.raises(TypeError, match=r"^PrefixCache\.prefill: it is traced, and what is stored would not last"):
            jax.jit(f)(argument)
    assert len(prefixes) == 0


def test_parameters_of_another_size():
    _, hp = model()
    other = init_d_transformer(jax.random.key(0), DTransformerHyperparameters(**SIZES | {"d_e": 4}))
    message = r"^PrefixCache\.prefill: params\.W_e has shape \(5, 4\), expected \(5, 8\)"
    with pytest.raises(ValueError, match=message):
        PrefixCache(PLENTY).prefill(prompt(3), other, hp)
