"""MEGABYTE writes: its global stack takes a step once a patch, its local stack once a byte, each with a cache.

The line numbers are those of `megabyte_inference` in `algorithms/long_context/megabyte.py`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, PRNGKeyArray

from ..architectures import d_layers_embedded
from ..embedding import embed, rows
from ..inference.cache import cached_attend, empty_cache, keep_attend, with_slots, write
from ..inference.compiling import compiled
from ..inference.contracts import refuse_undrawn
from ..inference.drawing import Drawing, Text
from ..inference.filters import FilterLike
from ..linear import affine
from ..tagging import line
from ..validation import as_arrays, require_count, require_key, require_sequence
from .megabyte import MegabyteHyperparameters, MegabyteParameters, after, require_megabyte


def megabyte_inference(
    x: Int[Array, "*batch l"],
    params: MegabyteParameters,
    hyperparameters: MegabyteHyperparameters,
    *,
    length: int,
    temperature: Any = 1.0,
    key: PRNGKeyArray,
    filters: FilterLike | Sequence[FilterLike] = (),
) -> Int[Array, "*batch length"]:
    """Algorithm 14 with MEGABYTE.

    Args:
      x: (..., l) prompts of any number of bytes, none included, l + length ≤ T_max.
      params: `MegabyteParameters`. hyperparameters: `MegabyteHyperparameters`.
      length: l_gen, how many bytes to draw. temperature: τ > 0. filters: as for `d_inference`.
      key: one key, or a key for each prompt. The byte at position t is drawn with `fold_in(key, t)`.
    Returns:
      (..., length) bytes; -1 where a traced argument was unusable.
    Raises:
      TypeError, ValueError: as `megabyte`, though l need be no multiple of P; if there is no room for `length` bytes,
        or τ is not greater than 0.
    """
    name, hp = "megabyte_inference", hyperparameters
    params = require_megabyte(name, params, hp)
    (x,) = as_arrays(name, x=x)
    x = require_sequence(name, "x", x, hp.N_V, hp.T_max)[0] if x.size else jnp.asarray(x).astype(int)
    length, l = require_count(name, "length", length, at_least=1), x.shape[-1]
    if l + length > hp.T_max:
        raise ValueError(f"{name}: a prompt of {l} bytes and {length} more do not fit: T_max is {hp.T_max}")
    drawing = Drawing.of(name, temperature, filters, (), params.E_L.dtype, hp.N_V)
    key, batch = require_key(name, key, x.shape[:-1]), x.shape[:-1]
    if batch:
        key = (key if key.shape else jax.random.split(key, batch)).reshape(-1)
        x = x.reshape(-1, l)
    y = _write(x, params, drawing, key, hyperparameters=hp, length=length).reshape(*batch, length)
    refuse_undrawn(name, y, params)
    return line(7, "y", y)


@compiled(static_argnames=("hyperparameters", "length"))
def _write(x, params, drawing, key, *, hyperparameters, length):
    """Bytes (..., length) after prompts (..., l): those of the patch that the prompt begins are given, not drawn."""
    hp, P = hyperparameters, hyperparameters.P
    l = line(1, "l", x.shape[-1])
    first, end = l // P, -(-(l + length) // P)
    begun = jnp.pad(x[..., first * P :], [*[(0, 0)] * (x.ndim - 1), (0, (end - first) * P - l % P)])
    given = jnp.moveaxis(begun.reshape(*x.shape[:-1], end - first, P), -2, 0)
    last, cache = _read(x[..., : first * P], first, end, params, hp)
    text = Text.begin(jnp.zeros(x.shape[:-1], int), x, jnp.asarray(l), drawing, hp.N_V)

    def patch(state, of_patch):
        text, last, cache = state
        k, given = of_patch
        L_ctx, cache = _context(last, k, cache, params, hp)
        text, y = _bytes(text, L_ctx, k * P, given, l, params, hp, drawing, key)
        return (text, y, cache), y

    _, y = lax.scan(patch, (text, last, cache), (jnp.arange(first, end), given))
    y = jnp.moveaxis(y, 0, -2).reshape(*x.shape[:-1], -1)
    return y[..., l % P : l % P + length]


def _read(x, first, end, params, hyperparameters):
    """The last of `first` whole patches (..., P), and the global cache, with `end` slots, of what stands before it."""
    hp, P, batch = hyperparameters, hyperparameters.P, x.shape[:-1]
    if not first:
        empty = empty_cache(hp.L_G, batch, end, hp.global_stack, params.E_L.dtype)
        return jnp.zeros((*batch, P), x.dtype), empty
    patches = embed(x, params.E_G, params.Pos_G).reshape(*batch, first, -1)
    G_in = after(params.pad_G.reshape(-1), patches)
    attend = keep_attend(hp.global_stack.attending)
    _, kept = d_layers_embedded(G_in, params.global_stack, hp.global_stack, attend)
    return x[..., -P:], with_slots(kept, end)


def _context(last, k, cache, params, hyperparameters):
    """What the global stack says of the bytes of patch k: (..., P, D_L), from the patch before it; and its cache."""
    hp, P = hyperparameters, hyperparameters.P
    h = embed(last, params.E_G, rows(params.Pos_G, jnp.maximum(k - 1, 0) * P + jnp.arange(P)))
    h = jnp.where(k == 0, params.pad_G.reshape(1, -1), h.reshape(-1, P * hp.D_G)).reshape(*last.shape[:-1], 1, -1)
    G_out, cache = _step(h, k, cache, params.global_stack, hp.global_stack)
    return affine(G_out.reshape(*last.shape, hp.D_G), params.W_GL), cache


def _bytes(text, L_ctx, start, given, l, params, hyperparameters, drawing, key):
    """The bytes (..., P) of the patch from position `start` on, of which those before l are `given`."""
    hp, P, batch = hyperparameters, hyperparameters.P, L_ctx.shape[:-2]
    cache = empty_cache(hp.L_L, batch, P, hp.local_stack, L_ctx.dtype)

    def slot(state, of_slot):
        text, cache = state
        i, context, given = of_slot
        e = jnp.where(i == 0, params.pad_L.reshape((1,) * len(batch) + (-1,)), rows(params.E_L, text.token))
        L_out, cache = _step((e + context)[..., None, :], i, cache, params.local_stack, hp.local_stack)
        logits = affine(L_out, params.E_L)[..., 0, :]
        line(3, "p", jax.nn.softmax(logits))
        drawn = line(4, "y", drawing(logits, key, start + i, text.seen).astype(given.dtype))
        text = text.followed_by(jnp.where(start + i < l, given, drawn), drawing.stop)
        return (text, cache), text.token

    slots = jnp.arange(P), jnp.moveaxis(L_ctx, -2, 0), jnp.moveaxis(given, -1, 0)
    (text, _), y = lax.scan(slot, (text, cache), slots)
    return text, jnp.moveaxis(y, 0, -1).astype(given.dtype)


def _step(X, t, cache, params, hyperparameters):
    """One more row (..., 1, d_e), at position t, through a stack: its encoding, and the cache that holds it."""
    positions = jnp.broadcast_to(t, X.shape[:-1])
    attend = cached_attend(positions, hyperparameters.attending)
    X, new = d_layers_embedded(X, params, hyperparameters, attend, states=cache)
    return X, write(cache, new, t)
