"""A decoder with an infinite memory: Algorithm 10 over a long text, a segment at a time, each layer with a memory.

What a layer attends to within the segment is Algorithm 5's; what its memory answers to the same queries is added. When
the segment is done, what the layer's attention has read of it is put into the memory, without a gradient.
"""

from dataclasses import replace
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax
from jaxtyping import Array, Int, PRNGKeyArray

from .. import masks
from ..architecture_contracts import require_hyperparameters, require_parameters
from ..architectures import Attend, d_layers, logits_of
from ..attending import AS_PRINTED, Attending
from ..attention import mh_attention
from ..contracts import algorithm
from ..hyperparameters import DTransformerHyperparameters
from ..initialization import init_d_transformer
from ..linear import affine, aligned
from ..parameters import DTransformerParameters
from ..tagging import line
from ..validation import require_count, require_key, require_kind, require_sequence, same_shapes
from .infinite_memory import (
    Density,
    MemoryHyperparameters,
    MemoryParameters,
    basis_regression,
    continuous_attention,
    kl_regulariser,
    memory_update,
    read_density,
    sticky_points,
    uniform_points,
)


@struct.dataclass
class InfiniteDecoderParameters:
    """The parameters of a `decoder`, Algorithm 10's, and of the `memory` of each layer, stacked on a leading axis L."""

    decoder: DTransformerParameters
    memory: MemoryParameters


@struct.dataclass
class Memory:
    """The memory of a layer, or of L layers on a leading axis: all that is kept of the past, of the same size always.

    `B` (..., N, d_e); `density`, where the queries of the last segment looked in it; `segments` (...), how many it
    holds; `key`, from which sticky points are drawn.
    """

    B: jax.Array
    density: Density
    segments: jax.Array
    key: jax.Array


class Streamed(NamedTuple):
    """The logits (..., ℓ, N_V) of a text, the `memory` after it, and the mean `regulariser` of its reads ()."""

    logits: jax.Array
    memory: Memory
    regulariser: jax.Array


@partial(jax.jit, static_argnames=("hyperparameters", "memory_hyperparameters"))
def init_infinite_decoder(
    key: PRNGKeyArray, hyperparameters: DTransformerHyperparameters, memory_hyperparameters: MemoryHyperparameters
) -> InfiniteDecoderParameters:
    """Random parameters: W like N(0, 1/d_in), W_o smaller as all that writes to the residual stream, a like N(0, 1).

    B is about N times smaller than what it remembers, so that with smaller a all queries would look at the same place.
    """
    hp, N = hyperparameters, memory_hyperparameters.N
    d_attn, d_mid = int(hp.d_attn or 0), int(hp.d_mid or 0)  # set when the hyperparameters were made
    shapes = {"W_k": (hp.H, d_attn, hp.d_e), "W_v": (hp.H, d_mid, hp.d_e), "W_o": (hp.d_e, hp.H * d_mid)}
    shapes |= {"a_m": (N,), "a_v": (N,)}
    scales = (hp.d_e**-0.5, hp.d_e**-0.5, (2 * max(hp.L, 1) * hp.H * d_mid) ** -0.5, 1.0, 1.0)
    of_decoder, of_memory = jax.random.split(key)
    ends = np.cumsum([prod(shape) for shape in shapes.values()])
    parts = jnp.split(jax.random.normal(of_memory, (hp.L, int(ends[-1]))), ends[:-1], axis=-1)
    drawn = zip(shapes.items(), scales, parts, strict=True)
    memory = {name: scale * part.reshape(hp.L, *shape) for (name, shape), scale, part in drawn}
    return InfiniteDecoderParameters(init_d_transformer(of_decoder, hp), MemoryParameters(**memory))


def empty_memory(
    key: PRNGKeyArray,
    batch: tuple[int, ...],
    segment: int,
    hyperparameters: DTransformerHyperparameters,
    memory_hyperparameters: MemoryHyperparameters,
    dtype: Any = jnp.float32,
) -> Memory:
    """The memories of a decoder's layers before texts (*batch) that are read by segments of so many tokens."""
    hp = hyperparameters
    return Memory(
        B=jnp.zeros((hp.L, *batch, memory_hyperparameters.N, hp.d_e), dtype),
        density=Density(*(jnp.full((hp.L, *batch, hp.H, segment), a, dtype) for a in (0.5, 1.0))),
        segments=jnp.zeros((hp.L, *batch), int),
        key=jax.random.split(require_key("empty_memory", key), hp.L),
    )


def forget(memory: Memory, which: jax.Array) -> Memory:
    """The memories without those of the texts (...) for which `which` is true: another document begins there."""
    return replace(memory, segments=jnp.where(aligned(which, memory.segments), 0, memory.segments))


def infinite_attend(
    hyperparameters: MemoryHyperparameters, attending: Attending = AS_PRINTED, W_r: jax.Array | None = None
) -> Attend:
    """Line 6 of Algorithm 10 for a segment. The state is a layer's `MemoryParameters` and its `Memory`; the new one is
    the `Memory` alone, in which the segment is.
    """
    hp = hyperparameters

    def attend(X, W, state, window):
        U, memory = state
        known = (memory.segments > 0)[..., None, None]
        see = masks.causal if window is None else masks.causal & masks.window(window)
        Y = line(2, "Y_X", mh_attention(X, X, W, see, attending, W_r=W_r))
        Q = line(5, "Q", affine(X, W.heads.W_q, W.heads.b_q))
        density = read_density(Q, memory.B, U, hp)
        line(6, "density", jnp.stack(density, axis=-3))
        Y = line(7, "Y_X", Y + jnp.where(known, continuous_attention(memory.B, density, U, hp), 0))
        key, of_this = jax.random.split(memory.key)
        u = line(3, "u", jnp.broadcast_to(uniform_points(hp, X.dtype), (*X.shape[:-2], hp.M)))
        if hp.sticky:
            u = line(9, "u", sticky_points(density, sticky_numbers(of_this, hp, X.dtype), hp))
        B = jnp.where(known, memory_update(memory.B, X, hp, u), basis_regression(X, hp))
        B = line(12, "B", lax.stop_gradient(B))
        return Y, Memory(B, density, memory.segments + 1, key)

    return attend


def sticky_numbers(key: PRNGKeyArray, hyperparameters: MemoryHyperparameters, dtype: Any) -> jax.Array:
    """The uniform numbers (M,) with which sticky points are drawn, the same for all texts of a batch."""
    return jax.random.uniform(key, (hyperparameters.M,), jnp.float32).astype(dtype)


def _requires(x, params, hyperparameters, memory_hyperparameters, *, segment, key, memory):
    name, hp = "infinite_d_transformer", hyperparameters
    require_hyperparameters(name, hp, "DTransformerHyperparameters")
    require_kind(name, "memory_hyperparameters", memory_hyperparameters, MemoryHyperparameters, "its constructor")
    require_kind(name, "params", params, InfiniteDecoderParameters, made_by="init_infinite_decoder")
    decoder = require_parameters(f"{name}, the decoder", params.decoder, DTransformerParameters, hp)
    expected = jax.eval_shape(lambda key: init_infinite_decoder(key, hp, memory_hyperparameters), jax.random.key(0))
    if not same_shapes(params.memory, expected.memory):
        raise ValueError(f"{name}: params.memory are of other sizes than init_infinite_decoder gives them here")
    segment = require_count(name, "segment", segment, at_least=1)
    if segment > hp.l_max:
        raise ValueError(f"{name}: segment is {segment}, expected at most l_max = {hp.l_max}")
    x, _ = require_sequence(name, "x", x, hp.N_V, max(jnp.shape(x)[-1:] or (0,)))
    if x.shape[-1] % segment:
        raise ValueError(f"{name}: x has {x.shape[-1]} tokens, expected a multiple of segment = {segment}")
    new = empty_memory(
        jax.random.key(0) if key is None else require_key(name, key),
        x.shape[:-1],
        segment,
        hp,
        memory_hyperparameters,
        decoder.W_e.dtype,
    )
    if memory is None:
        if key is None and memory_hyperparameters.sticky:
            raise ValueError(f"{name}: there is no key, expected one: the points of sticky memories are drawn")
        memory = new
    require_kind(name, "memory", memory, Memory, made_by="empty_memory")
    if not same_shapes(memory, new):
        raise ValueError(
            f"{name}: memory.B has shape {memory.B.shape} and memory.density.m {memory.density.m.shape}, expected "
            f"{new.B.shape} and {new.density.m.shape}: it is of another configuration"
        )
    return {"x": x, "params": params.replace(decoder=decoder), "key": None, "memory": memory}


@algorithm(_requires, static=("hyperparameters", "memory_hyperparameters", "segment"))
def infinite_d_transformer(
    x: Int[Array, "*batch l"],
    params: InfiniteDecoderParameters,
    hyperparameters: DTransformerHyperparameters,
    memory_hyperparameters: MemoryHyperparameters,
    *,
    segment: int,
    key: PRNGKeyArray | None = None,
    memory: Memory | None = None,
) -> Streamed:
    """Algorithm 10 over texts of any length, a segment at a time, whose layers remember what came before.

    Time grows as the length, and memory, but for the logits, not at all. Positions begin at 0 in each segment. The
    gradient does not reach into earlier segments.

    Args:
      x: (..., ℓ) token ids; ℓ is a multiple of `segment`.
      segment: how many tokens are read at once, at most l_max.
      key: for sticky memories. memory: what `Streamed` gave for the text before this one; empty unless given.
    Returns:
      `Streamed`: row t of the logits is of what follows token t.
    Raises:
      TypeError, ValueError: for a text that is no whole number of segments, or a memory of another configuration.
    """
    hp, memory_hp = hyperparameters, memory_hyperparameters
    assert memory is not None  # there is an empty one where none is given
    attend = infinite_attend(memory_hp, hp.attending, params.decoder.W_r)

    def step(memory, x):
        known = memory.segments > 0
        X, memory = d_layers(x, params.decoder, hp, attend, states=(params.memory, memory))
        v = jnp.where(known[..., None, None], memory.density.v, memory_hp.sigma_0**2)
        carried = replace(memory, density=lax.stop_gradient(memory.density))
        return carried, (logits_of(X, params.decoder, hp), kl_regulariser(v, memory_hp.sigma_0))

    *batch, l = x.shape
    by_segment = jnp.moveaxis(x.reshape(*batch, l // segment, segment), -2, 0)
    after, (logits, regulariser) = lax.scan(step, memory, by_segment)
    return Streamed(jnp.moveaxis(logits, 0, -3).reshape(*batch, l, -1), after, regulariser.mean())
