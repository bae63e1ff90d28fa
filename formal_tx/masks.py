"""Masks as predicates of (query position, key position), eq. (3), and the adapters from other conventions.

The library's convention is the paper's: **true means "may attend"**. `mask[t_x, t_z]` has a row for each query and a
column for each key, as everything else here has a row for each token (the paper's `Mask` is its transpose).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from .contracts import is_concrete
from .linear import aligned
from .validation import as_arrays

MaskLike = Any  # a Mask, a predicate of (t_x, t_z), or a boolean array (..., ℓ_x, ℓ_z)


@struct.dataclass
class Mask:
    """A predicate of (t_x, t_z), with the arrays it needs. Masks combine with `&`, `|` and `~`.

    `predicate(t_x, t_z, *arguments)` is called with broadcastable integer arrays. It is static under `jit`: use a
    module-level function, since a lambda made anew at each call compiles anew at each call. `arguments` are traced.
    """

    predicate: Callable = struct.field(pytree_node=False)
    arguments: tuple = ()

    def __call__(self, t_x: jax.Array, t_z: jax.Array) -> jax.Array:
        return self.predicate(t_x, t_z, *self.arguments)

    def __and__(self, other: MaskLike) -> "Mask":
        return Mask(_both, (self, as_mask(other)))

    def __or__(self, other: MaskLike) -> "Mask":
        return Mask(_either, (self, as_mask(other)))

    def __invert__(self) -> "Mask":
        return Mask(_not, (self,))


def _everything(t_x, t_z):
    return jnp.ones(jnp.broadcast_shapes(t_x.shape, t_z.shape), bool)


def _not_later(t_x, t_z):
    return t_z <= t_x


def _before(t_x, t_z, lengths):
    real = aligned(t_z, lengths[..., None, None]) < lengths[..., None, None]
    return real & aligned(_everything(t_x, t_z), real)


def _near(t_x, t_z, width):
    return jnp.abs(t_x - t_z) < width.astype(t_x.dtype)


def _same(t_x, t_z, segments):
    return _at(segments, t_x) == _at(segments, t_z)


def _at(segments: jax.Array, t: jax.Array) -> jax.Array:
    """segments[..., t] for positions of any shape; one that is out of range is in no segment."""
    return segments.at[..., t].get(mode="fill", fill_value=-1)


def _both(t_x, t_z, a, b):
    return jnp.logical_and(*_tables(t_x, t_z, a, b))


def _either(t_x, t_z, a, b):
    return jnp.logical_or(*_tables(t_x, t_z, a, b))


def _not(t_x, t_z, a):
    return ~_table("mask", a, t_x, t_z)


def _tables(t_x, t_z, a, b):
    """What two masks say, with as many axes each."""
    a, b = _table("mask", a, t_x, t_z), _table("mask", b, t_x, t_z)
    try:
        jnp.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(f"mask: masks of shapes {a.shape} and {b.shape} do not combine") from None
    return aligned(a, b), aligned(b, a)


def _table(function: str, mask: Callable, t_x: jax.Array, t_z: jax.Array) -> jax.Array:
    """What a mask's predicate says of these positions, which has to be boolean."""
    said = mask(t_x, t_z)
    dtype = getattr(said, "dtype", type(said).__name__)
    if dtype not in (bool, "bool"):
        raise TypeError(f"{function}: the mask's predicate returned {dtype}, expected bool")
    return jnp.asarray(said)


def _look_up(t_x, t_z, array):
    # The positions of a dense evaluation are 0 … ℓ-1 in order, so the array is its own answer.
    return array


full = Mask(_everything)
"""Eq. (3), first case: bidirectional attention, every token may attend to every token."""

causal = Mask(_not_later)
"""Eq. (3), second case: unidirectional attention, a token may attend to itself and to those before it."""


def padding(lengths: jax.Array) -> Mask:
    """The first `lengths` (...) tokens of the context are real, what follows is padding that nobody attends to.

    Raises:
      TypeError: if `lengths` are not integers.
    """
    return Mask(_before, (_integers("masks.padding", "lengths", lengths).astype(int),))  # the type of a position


def window(width: jax.Array | int) -> Mask:
    """A sliding window: a token may attend to those less than `width` before or after it. With `causal` it sees `width`
    tokens, itself included.
    """
    return Mask(_near, (jnp.asarray(width),))


def same_segment(segments: jax.Array) -> Mask:
    """Several texts in one sequence: a token may attend to those whose number in `segments` (..., ℓ) is its own.

    Raises:
      TypeError: if `segments` are not integers.
    """
    return Mask(_same, (_integers("masks.same_segment", "segments", segments),))


def _integers(function: str, name: str, values: Any) -> jax.Array:
    (array,) = as_arrays(function, **{name: values})
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"{function}: {name} have dtype {array.dtype}, expected integers")
    return jnp.asarray(array)


def as_mask(mask: MaskLike, *, function: str = "masks") -> Mask:
    """A `Mask` from a `Mask`, a predicate or a boolean array.

    Raises:
      TypeError: for anything else, and for arrays that are not boolean: numbers can mean "add this to the scores",
        "true means drop" or "true means keep", so the adapter that says which has to be named.
    """
    if isinstance(mask, Mask):
        return mask
    if callable(mask):
        return Mask(mask)
    if hasattr(mask, "dtype") or isinstance(mask, list | tuple):
        (array,) = as_arrays(function, mask=mask)
        if array.dtype != bool:
            raise TypeError(
                f"{function}: mask has dtype {array.dtype}, expected bool with true meaning 'may attend'. Convert it "
                "by name: masks.from_additive (0 keeps, -inf drops), masks.from_torch (true drops), masks.from_padding "
                "(true or 1 marks a real token of the context)"
            )
        return Mask(_look_up, (jnp.asarray(array),))
    raise TypeError(
        f"{function}: mask is of type {type(mask).__name__}, expected a predicate of (t_x, t_z) or a boolean array"
    )


def dense(mask: MaskLike, l_x: int, l_z: int, *, function: str = "masks") -> jax.Array:
    """The mask as a boolean array (..., ℓ_x, ℓ_z).

    Raises:
      TypeError: if what a predicate returns is not boolean.
      ValueError: if an array, or what a predicate returns, does not end in (ℓ_x, ℓ_z).
    """
    array = _table(function, as_mask(mask, function=function), jnp.arange(l_x)[:, None], jnp.arange(l_z)[None, :])
    if array.ndim < 2 or array.shape[-2] not in (1, l_x) or array.shape[-1] not in (1, l_z):
        raise ValueError(
            f"{function}: mask has shape {array.shape}, expected (..., ℓ_x, ℓ_z) = (..., {l_x}, {l_z}): "
            "a row for each query, a column for each key"
        )
    return jnp.broadcast_to(array, (*array.shape[:-2], l_x, l_z))


def for_heads(table: jax.Array, axes: int) -> jax.Array:
    """A dense mask (..., ℓ_x, ℓ_z) with `axes` axes of size one before the last two, where heads stand."""
    return table.reshape(*table.shape[:-2], *(1,) * axes, *table.shape[-2:])


def from_additive(bias: jax.Array) -> jax.Array:
    """A boolean mask from one that is added to the scores: 0 keeps, -inf (or the dtype's least value) drops.

    Raises:
      TypeError: if the mask is not of a floating dtype.
      ValueError: if a value is neither, as in a learned or positional bias, which no mask can express. (A row whose
        values cannot be seen, and hold another, keeps nothing: attention then gives nan.)
    """
    (bias,) = as_arrays("masks.from_additive", mask=bias)
    if not jnp.issubdtype(bias.dtype, jnp.floating):
        raise TypeError(f"masks.from_additive: the mask has dtype {bias.dtype}, expected a floating dtype")
    bias = jnp.asarray(bias)
    drops = bias <= jnp.finfo(bias.dtype).min
    return _legal_rows(
        ~drops,
        drops | (bias == 0),
        "masks.from_additive: the mask holds other values than 0 and -inf (or the dtype's least value)",
    )


def from_torch(mask: jax.Array) -> jax.Array:
    """A boolean mask from PyTorch's `MultiheadAttention`, where true means *drop*.

    (`scaled_dot_product_attention` is the other way round: true means keep there, as here.)

    Raises:
      TypeError: if the mask is not boolean; PyTorch adds one of floats to the scores, see `from_additive`.
    """
    (mask,) = as_arrays("masks.from_torch", mask=mask)
    if mask.dtype != bool:
        raise TypeError(
            f"masks.from_torch: the mask has dtype {mask.dtype}, expected bool; one of floats is for "
            "masks.from_additive"
        )
    return ~jnp.asarray(mask)


def from_padding(real: jax.Array) -> jax.Array:
    """A mask (..., 1, ℓ_z) from Hugging Face's `attention_mask` (..., ℓ_z): true or 1 marks a real token.

    Raises:
      TypeError: if it holds neither booleans nor integers.
      ValueError: if an integer is neither 0 nor 1. (Where this cannot be seen, the row keeps nothing, and attention
        gives nan.)
    """
    (real,) = as_arrays("masks.from_padding", mask=real)
    if not (real.dtype == bool or jnp.issubdtype(real.dtype, jnp.integer)):
        raise TypeError(f"masks.from_padding: the mask has dtype {real.dtype}, expected bool, or integers 0 and 1")
    real = jnp.asarray(real).astype(int)
    keep = _legal_rows(
        real == 1, (real == 0) | (real == 1), "masks.from_padding: the mask holds other values than 0 and 1"
    )
    return keep[..., None, :]


def _legal_rows(keep: jax.Array, legal: jax.Array, complaint: str) -> jax.Array:
    """The rows of `keep`: those that are not all legal raise where they can be seen, and keep nothing where not."""
    legal = legal.all(axis=-1, keepdims=True)
    if is_concrete(legal) and not bool(legal.all()):
        raise ValueError(complaint)
    return keep & legal
