"""Algorithms 14 and 15: prompting a decoder, and predicting a sequence with an encoder-decoder.

The past is not computed again (`cache.py`). Prompts are padded to the next power of two and the steps run under one
`scan`, so that neither the prompt's length nor the number of tokens asked for compiles anew each time.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int, PRNGKeyArray

from .architecture_contracts import (
    d_requires,
    require_hyperparameters,
    require_parameters,
    require_special_tokens,
    token_sequences,
)
from .architectures import d_layers, decode, encode
from .cache import cached_attend, context_attend, context_cache, empty_cache
from .contracts import is_concrete, refuse_nan
from .embedding import within
from .hyperparameters import DTransformerHyperparameters, EDTransformerHyperparameters
from .parameters import DTransformerParameters, EDTransformerParameters
from .tagging import line
from .validation import require_count, require_key, require_positive

NO_TOKEN = -1  # what a token is when its distribution is nan; embedding it gives nan again


def draw(logits: jax.Array, temperature: jax.Array, key: jax.Array) -> jax.Array:
    """A token (…) from q ∝ p^(1/τ) = softmax(logits / τ), with logits (..., N_V); -1 if these are nan.

    It is argmax(logits / τ + G) with Gumbel noise G = `jax.random.gumbel(key)`, which has exactly that distribution.
    """
    # The largest logit is taken off first: a small τ must not make several of them infinite.
    scaled = (logits - logits.max(axis=-1, keepdims=True)) / jnp.where(temperature > 0, temperature, jnp.nan)
    y = jnp.argmax(scaled + jax.random.gumbel(key, scaled.shape, scaled.dtype), axis=-1)
    return jnp.where(jnp.isnan(scaled).any(axis=-1), NO_TOKEN, y)


def _bucket(n: int, most: int) -> int:
    """The next power of two, but no more than `most`: there are log2(most) + 1 of them."""
    return min(1 << (n - 1).bit_length(), most)


def _pad(x: jax.Array, length: int) -> jax.Array:
    return jnp.pad(x, [*[(0, 0)] * (x.ndim - 1), (0, length - x.shape[-1])])


def _for_each(f, batch: tuple[int, ...], key: jax.Array, *arrays: jax.Array):
    """`f(key, *arrays)` for one sequence, or for each of a batch with a key of its own."""
    if not batch:
        return f(key, *arrays)
    keys = key if key.shape == batch else jax.random.split(key, batch)
    flat = [a.reshape(-1, *a.shape[len(batch) :]) for a in (keys, *arrays)]
    return jax.tree.map(lambda a: a.reshape(*batch, *a.shape[1:]), jax.vmap(f)(*flat))


def d_inference(
    x: Int[Array, "*batch l"],
    params: DTransformerParameters,
    hyperparameters: DTransformerHyperparameters,
    *,
    length: int,
    temperature: Any = 1.0,
    key: PRNGKeyArray,
    lengths: Int[Array, "*batch"] | None = None,
) -> Int[Array, "*batch length"]:
    """Algorithm 14: prompts a trained decoder-only transformer.

    Args:
      x: (..., ℓ) prompts of at least one token, ℓ + length - 1 ≤ l_max.
      params: `DTransformerParameters`. hyperparameters: `DTransformerHyperparameters`.
      length: l_gen, how many tokens to generate; it does not stop at eos_token (E7).
      temperature: τ > 0. τ → 0 is the most likely token, 1 is faithful, τ → ∞ uniform.
      key: one key, or a key for each prompt. A single one is split among the prompts of a batch. The token at position
        t is drawn with `fold_in(key, t)`: to generate a + b tokens is to generate a, append them, and generate b.
      lengths: (...) real tokens of each right-padded prompt; the continuation follows the last real one.
    Returns:
      (..., length) token ids; -1 where a traced argument was unusable.
    Raises:
      TypeError: as `d_transformer`, and if `key` is no key.
      ValueError: as `d_transformer`; if the prompt is empty or leaves no room, or τ is not greater than 0.
    """
    name = "d_inference"
    arguments = d_requires(x, params, hyperparameters, lengths, function=name)
    x, params, lengths = arguments["x"], arguments["params"], arguments["lengths"]
    length = require_count(name, "length", length, at_least=1)
    l_max, longest = hyperparameters.l_max, x.shape[-1]
    if lengths is not None and is_concrete(lengths):
        longest = int(np.max(lengths))
    if longest + length - 1 > l_max:
        raise ValueError(
            f"{name}: a prompt of {longest} tokens and {length} more do not fit: ℓ + length - 1 = "
            f"{longest + length - 1} is more than l_max = {l_max}"
        )
    require_positive(name, params.W_e.dtype, temperature=temperature)
    refuse_nan(name, {"params": params})
    lengths = jnp.full(x.shape[:-1], x.shape[-1]) if lengths is None else lengths
    y = _d_inference(
        _pad(x, _bucket(x.shape[-1], l_max)),
        lengths,
        params,
        jnp.asarray(temperature, params.W_e.dtype),
        require_key(name, key, x.shape[:-1]),
        jnp.asarray(length),
        hyperparameters=hyperparameters,
        steps=_bucket(length, l_max),
    )
    return line(8, "y", y[..., :length])


@partial(jax.jit, static_argnames=("hyperparameters",))
def d_prefill(x, length, params, hyperparameters):
    """The cache of a prompt: `x` (ℓ,) of which `length` tokens are real."""
    prompt = jnp.where(within(x, length), x, 0)
    nothing = empty_cache(hyperparameters.L, hyperparameters, params.W_e.dtype)
    return d_layers(prompt, params, hyperparameters, cached_attend(0), states=nothing)[1]


@partial(jax.jit, static_argnames=("hyperparameters",))
def d_step(token, t, cache, params, hyperparameters):
    """Logits (N_V,) for the token after `token`, which stands at position `t`, and the cache that now holds it."""
    logits, cache = d_layers(token[None], params, hyperparameters, cached_attend(t), positions=t[None], states=cache)
    return logits[0], cache


@partial(jax.jit, static_argnames=("hyperparameters", "steps"))
def _d_inference(x, lengths, params, temperature, key, length, *, hyperparameters, steps):
    def one(key, x, l):
        l = line(1, "l", l)
        cache = d_prefill(x, l, params, hyperparameters)

        def step(carry, i):
            y, cache = carry
            logits, cache = d_step(y, l + i - 1, cache, params, hyperparameters)
            line(4, "p", jax.nn.softmax(logits))
            y = line(5, "y", draw(logits, temperature, jax.random.fold_in(key, l + i)).astype(x.dtype))
            return y, cache

        def step_if_asked(carry, i):
            carry = lax.cond(i < length, step, lambda carry, i: carry, carry, i)
            return carry, carry[0]

        legal = (l >= 1) & (l <= x.shape[-1]) & (l + length - 1 <= hyperparameters.l_max)
        last = jnp.where(legal, x[l - 1], NO_TOKEN)
        _, y = lax.scan(step_if_asked, (last, cache), jnp.arange(steps))
        return y

    return _for_each(one, x.shape[:-1], key, x, lengths)


def ed_inference(
    z: Int[Array, "*batch l_z"],
    params: EDTransformerParameters,
    hyperparameters: EDTransformerHyperparameters,
    *,
    temperature: Any = 1.0,
    key: PRNGKeyArray,
    l_max: int | None = None,
    z_lengths: Int[Array, "*batch"] | None = None,
) -> Int[Array, "*batch length"]:
    """Algorithm 15: uses a trained encoder-decoder transformer to predict a sequence.

    Args:
      z: (..., ℓ_z) contexts, 1 ≤ ℓ_z ≤ l_max.
      params: `EDTransformerParameters`. hyperparameters: `EDTransformerHyperparameters`.
      temperature: τ > 0, as for `d_inference`.
      key: one key, or a key for each context. The token at position t is drawn with `fold_in(key, t)`.
      l_max: most tokens to draw; the model's own l_max unless given. The printed loop has no such guard (E6).
      z_lengths: (...) real tokens of each right-padded context.
    Returns:
      x_hat: for one context whose values are concrete (length,), from bos_token to eos_token (or without eos_token, if
      it did not come within l_max tokens). For a batch, or under `jit`, (..., l_max + 1) in which eos_token fills
      what follows the first eos_token; -1 where a traced argument was unusable.
    Raises:
      TypeError: as `ed_transformer`, and if `key` is no key.
      ValueError: as `ed_transformer`; if τ is not greater than 0, or `l_max` is more than the model's.
    """
    name = "ed_inference"
    require_hyperparameters(name, hyperparameters, "EDTransformerHyperparameters")
    params = require_parameters(name, params, EDTransformerParameters, hyperparameters)
    z, z_lengths = token_sequences(name, "z", z, hyperparameters, z_lengths)
    require_special_tokens(name, hyperparameters, "bos and eos tokens")
    l_max = hyperparameters.l_max if l_max is None else l_max
    l_max = require_count(name, "l_max", l_max, at_least=1)
    if l_max > hyperparameters.l_max:
        raise ValueError(f"{name}: l_max is {l_max}, more than the model's l_max = {hyperparameters.l_max}")
    require_positive(name, params.W_e.dtype, temperature=temperature)
    refuse_nan(name, {"params": params})
    lengths = jnp.full(z.shape[:-1], z.shape[-1]) if z_lengths is None else z_lengths
    x_hat = _ed_inference(
        _pad(z, _bucket(z.shape[-1], hyperparameters.l_max)),
        lengths,
        params,
        jnp.asarray(temperature, params.W_e.dtype),
        require_key(name, key, z.shape[:-1]),
        hyperparameters=hyperparameters,
        l_max=l_max,
    )
    if z.ndim == 1 and is_concrete(x_hat):
        ends = np.flatnonzero(np.asarray(x_hat) == hyperparameters.eos_token)
        x_hat = x_hat[: ends[0] + 1] if ends.size else x_hat
    return x_hat


@partial(jax.jit, static_argnames=("hyperparameters",))
def ed_prefill(z, z_length, params, hyperparameters):
    """The caches for a context `z` (ℓ_z,), of which `z_length` tokens are real: nothing decoded, all of z encoded."""
    Z = encode(z, params, hyperparameters, z_length)
    past = empty_cache(hyperparameters.L_dec, hyperparameters, params.W_e.dtype)
    return past, context_cache(Z, params.decoder.cross_attention)


@partial(jax.jit, static_argnames=("hyperparameters",))
def ed_step(token, t, past, context, z_length, params, hyperparameters):
    """Logits (N_V,) for the token after `token`, which stands at position `t`, and the cache that now holds it."""
    cross_attend = context_attend(jnp.arange(context.K.shape[-2]) < z_length)
    states = (past, context)
    logits, (past, _) = decode(
        token[None], params, hyperparameters, cached_attend(t), cross_attend, positions=t[None], states=states
    )
    return logits[0], past


@partial(jax.jit, static_argnames=("hyperparameters", "l_max"))
def _ed_inference(z, z_lengths, params, temperature, key, *, hyperparameters, l_max):
    def one(key, z, l_z):
        past, context = ed_prefill(z, l_z, params, hyperparameters)

        def step(carry, t):
            y, past = carry
            logits, past = ed_step(y, t, past, context, l_z, params, hyperparameters)
            line(5, "p", jax.nn.softmax(logits))
            y = line(6, "y", draw(logits, temperature, jax.random.fold_in(key, t + 1)).astype(z.dtype))
            return y, past

        def step_unless_ended(carry, t):
            carry = lax.cond(carry[0] == hyperparameters.eos_token, lambda carry, t: carry, step, carry, t)
            return carry, carry[0]

        bos = line(1, "x_hat", jnp.asarray([hyperparameters.bos_token], z.dtype))
        _, y = lax.scan(step_unless_ended, (bos[0], past), jnp.arange(l_max))
        return jnp.concatenate([bos, y])

    return _for_each(one, z.shape[:-1], key, z, z_lengths)
