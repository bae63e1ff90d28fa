"""Transformer-XL (1901.02860): a text segment by segment, with what the layers read of the segments before.

It is Algorithm 10 with another attention (`d_layers` with an `Attend`): queries are the segment's, keys and values also
those of a memory, and scores know distances (`relative_attention`), so that what is remembered stays valid while the
text moves on.

What a layer remembers is what its attention read: the layer's input, normalised if the norm stands before.
"""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .. import masks
from ..activations import relu
from ..architecture_contracts import require_hyperparameters, require_shapes_of
from ..architectures import Attend, d_layers, logits_of
from ..contracts import algorithm, is_concrete
from ..hyperparameters import Biases, DTransformerHyperparameters
from ..initialization import init_d_transformer
from ..parameters import DTransformerParameters
from ..placement import POST
from ..tagging import line
from ..validation import (
    as_arrays,
    require_count,
    require_fields,
    require_flags,
    require_kind,
    require_sequence,
)
from .relative_attention import attend_relative, position_keys, remembered, require_even, require_lengths


@struct.dataclass
class TransformerXLParameters:
    """θ: the `decoder`'s, without W_p; `u`, `v` (H, d_attn), the same in all layers; `W_r` (L, H, d_attn, d_e)."""

    decoder: DTransformerParameters
    u: Float[Array, "H d_attn"]
    v: Float[Array, "H d_attn"]
    W_r: Float[Array, "L H d_attn d_e"]


@struct.dataclass
class Memory:
    """What each layer remembers: `M` (L, ..., mem_len, d_e), of which the last `length` () rows are filled."""

    M: Float[Array, "L *batch mem_len d_e"]
    length: Int[Array, ""]

    def then(self, read: jax.Array) -> "Memory":
        """The memory after a segment, of which the layers read (L, ..., q, d_e)."""
        q, mem_len = read.shape[-2], self.M.shape[-2]
        M = lax.slice_in_dim(jnp.concatenate([self.M, read], axis=-2), q, q + mem_len, axis=-2)
        return Memory(lax.stop_gradient(M), jnp.minimum(self.length + q, mem_len))


def xl_hyperparameters(**widths: Any) -> DTransformerHyperparameters:
    """The paper's decoder: norms after the sub-layers, ReLU, embeddings times √d_e, attention without biases.

    Args:
      widths: l_max (the longest segment), L, H, d_e, d_mlp, N_V, and whatever else is to be different.
    """
    biases = Biases(q=False, k=False, v=False, o=False)
    paper: dict[str, Any] = {"table": None, "placement": POST, "final_norm": False, "activation": relu}
    if "d_e" in widths:
        paper["embedding_scale"] = float(widths["d_e"]) ** 0.5
    return DTransformerHyperparameters(**paper | {"biases": biases} | widths)


def init_transformer_xl(key: PRNGKeyArray, hyperparameters: DTransformerHyperparameters) -> TransformerXLParameters:
    """Random parameters: W_r as the matrices of queries and keys, N(0, 1/d_e), u and v as the paper's, N(0, 0.02²)."""
    hp: Any = hyperparameters
    of_decoder, of_u, of_v, of_W_r = jax.random.split(key, 4)
    return TransformerXLParameters(
        decoder=init_d_transformer(of_decoder, hp),
        u=0.02 * jax.random.normal(of_u, (hp.H, hp.d_attn)),
        v=0.02 * jax.random.normal(of_v, (hp.H, hp.d_attn)),
        W_r=jax.random.normal(of_W_r, (hp.L, hp.H, hp.d_attn, hp.d_e)) / hp.d_e**0.5,
    )


def empty_memory(
    batch: tuple[int, ...], hyperparameters: DTransformerHyperparameters, mem_len: int, dtype: Any = float
) -> Memory:
    """The memory before the first segment of texts (*batch): nothing."""
    mem_len = require_count("empty_memory", "mem_len", mem_len, at_least=0)
    shape = (hyperparameters.L, *batch, mem_len, hyperparameters.d_e)
    return Memory(jnp.zeros(shape, dtype), jnp.zeros((), int))


# The decoder


def _recurrent_attend(params: TransformerXLParameters, mask: masks.Mask) -> Attend:
    """Line 8 for `d_layers`: a layer's state is its memory and its P, its new state what its attention read."""

    def attend(X, W, state, window):
        del window
        M, P = state
        return line(8, "Y", attend_relative(X, M, P, W, params.u, params.v, mask)), X

    return attend


@lru_cache(maxsize=64)
def _expected(hyperparameters: DTransformerHyperparameters) -> Any:
    """The parameters of these hyperparameters, as shapes."""
    return jax.eval_shape(lambda: init_transformer_xl(jax.random.key(0), hyperparameters))


def _requires(x, params, hyperparameters, memory, segment, mem_len, clamp_len, same_length, function="transformer_xl"):
    hp = hyperparameters
    require_hyperparameters(function, hp, "DTransformerHyperparameters")
    _require_relative(function, hp)
    require_kind(function, "params", params, TransformerXLParameters, made_by="init_transformer_xl")
    require_shapes_of(function, params, _expected(hp), hp)
    params = require_fields(function, "params", params, may_lack=True)
    x, _ = require_sequence(function, "x", x, hp.N_V, max(np.shape(x)[-1:], default=0))
    segment = require_count(function, "segment", segment, at_least=1)
    mem_len = require_count(function, "mem_len", mem_len, at_least=0)
    if x.shape[-1] % segment:
        raise ValueError(f"{function}: segment is {segment}, expected a divisor of ℓ = {x.shape[-1]}")
    if segment > hp.l_max:
        raise ValueError(f"{function}: segment is {segment}, more than l_max = {hp.l_max}")
    require_lengths(function, clamp_len=clamp_len)
    require_flags(function, same_length=same_length)
    if same_length and not mem_len:
        raise ValueError(f"{function}: same_length with mem_len = 0 lets a token attend to nothing")
    memory = _require_memory(function, memory, x.shape[:-1], hp, mem_len, params.decoder.W_e.dtype)
    return {"x": x, "params": params, "memory": memory}


def _require_relative(function: str, hp: Any) -> None:
    """The hyperparameters leave positions, and who sees whom, to the distances."""
    for name in ("table", "rotate", "score", "normalise_qk", "scale"):
        if getattr(hp, name) is not None:
            raise ValueError(f"{function}: hyperparameters.{name} is {getattr(hp, name)!r}, expected None")
    if any(window is not None for window in hp.windows) or hp.placement.inner:
        raise ValueError(f"{function}: expected hyperparameters without windows, and without a norm inside, not {hp}")
    require_even(function, hp.d_e)


def _require_memory(function: str, memory: Any, batch: tuple[int, ...], hp: Any, mem_len: int, dtype: Any) -> Memory:
    """The memory, or an empty one; one whose length is traced and out of range has become nan."""
    if memory is None:
        return empty_memory(batch, hp, mem_len, dtype)
    require_kind(function, "memory", memory, Memory, made_by="empty_memory")
    M, length = as_arrays(function, **{"memory.M": memory.M, "memory.length": memory.length})
    expected = (hp.L, *batch, mem_len, hp.d_e)
    if M.shape != expected:
        raise ValueError(
            f"{function}: memory.M has shape {M.shape}, expected (L, ..., mem_len, d_e) = {expected}: that of another "
            "model, or of other sequences?"
        )
    if M.dtype != dtype:
        raise TypeError(f"{function}: memory.M has dtype {M.dtype}, expected {dtype}, which the parameters have")
    if length.shape or not jnp.issubdtype(length.dtype, jnp.integer):
        raise TypeError(f"{function}: memory.length is {length!r}, expected a single integer")
    legal = (length >= 0) & (length <= mem_len)
    if is_concrete(length) and not legal:
        raise ValueError(f"{function}: memory.length is {int(length)}, outside [0, mem_len] = [0, {mem_len}]")
    M = jnp.asarray(M) if is_concrete(length) else jnp.where(legal, M, jnp.nan)
    return Memory(M, jnp.asarray(length).astype(int))


def _logits_requires(**arguments):
    return _requires(**arguments, function="transformer_xl_logits")


_STATIC = ("hyperparameters", "segment", "mem_len", "clamp_len", "same_length")


@algorithm(_logits_requires, static=_STATIC)
def transformer_xl_logits(
    x: Int[Array, "*batch l"],
    params: TransformerXLParameters,
    hyperparameters: DTransformerHyperparameters,
    memory: Memory | None = None,
    *,
    segment: int,
    mem_len: int,
    clamp_len: int | None = None,
    same_length: bool = False,
) -> tuple[Float[Array, "*batch l N_V"], Memory]:
    """`transformer_xl` up to the softmax: logits (..., ℓ, N_V), and the memory."""
    assert memory is not None  # the requirements have made an empty one
    hp, m = hyperparameters, mem_len
    window = mem_len if same_length else None
    P = position_keys(params.W_r, m + segment, clamp_len)

    def step(memory, x_tau):
        attend = _recurrent_attend(params, remembered(m, memory.length, window))
        H, read = d_layers(x_tau, params.decoder, hp, attend, states=(memory.M, P))
        return memory.then(read), logits_of(H, params.decoder, hp)

    *batch, l = x.shape
    segments = jnp.moveaxis(x.reshape(*batch, l // segment, segment), -2, 0)
    last, logits = lax.scan(step, memory, segments)
    return jnp.moveaxis(logits, 0, -3).reshape(*batch, l, -1), last


@algorithm(_requires, static=_STATIC)
def transformer_xl(
    x: Int[Array, "*batch l"],
    params: TransformerXLParameters,
    hyperparameters: DTransformerHyperparameters,
    memory: Memory | None = None,
    *,
    segment: int,
    mem_len: int,
    clamp_len: int | None = None,
    same_length: bool = False,
) -> tuple[Float[Array, "*batch l N_V"], Memory]:
    """Transformer-XL: a decoder over a text of any length, in segments, with a memory of `mem_len` tokens a layer.

    Args:
      x: (..., ℓ) token ids; a segment's length divides ℓ.
      params: `TransformerXLParameters`. hyperparameters: of a decoder without positions, as `xl_hyperparameters` gives
        them; l_max is the longest segment.
      memory: what an earlier call returned, to go on with the text; nothing unless given.
      segment: how many tokens are read at once. mem_len: how many tokens each layer remembers; 0 for none.
      clamp_len: the largest distance that is told apart; all of them unless given.
      same_length: a token sees `mem_len` tokens, itself included, as every other does, and not all that is there.
    Returns:
      P (..., ℓ, N_V) and the `Memory` after the last segment. nan from the segment on in which a traced
      id is out of range.
    Raises:
      TypeError: for parameters or a memory of another kind, or ids that are not integers.
      ValueError: for lengths that are too small, or do not divide, a memory of another model or of other sequences,
        hyperparameters with positions of their own, and as `d_transformer`.
    """
    options = {"segment": segment, "mem_len": mem_len, "clamp_len": clamp_len, "same_length": same_length}
    logits, memory = transformer_xl_logits(x, params, hyperparameters, memory, **options)
    return line(17, "P", jax.nn.softmax(logits)), memory
