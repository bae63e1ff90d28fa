"""Masks as predicates of (query position, key position), eq. (3).

The library's convention is the paper's: **true means "may attend"**. `mask[t_x, t_z]` has a row for each query and a
column for each key, as everything else here has a row for each token (the paper's `Mask` is its transpose).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from .linear import aligned
from .mask_adapters import from_additive, from_padding, from_torch
from .validation import as_arrays

__all__ = [
    "Mask",
    "MaskLike",
    "as_mask",
    "causal",
    "dense",
    "for_heads",
    "from_additive",
    "from_padding",
    "from_torch",
    "full",
    "padding",
    "same_segment",
    "window",
]

MaskLike = Any  # a Mask, a predicate of (t_x, t_z), or a boolean array (..., ℓ_x, ℓ_z)


@struct.dataclass
class Mask:
    """A predicate of (t_x, t_z), with the arrays it needs. Masks combine with `&`, `|` and `~`.

    `predicate(t_x, t_z, *arguments)` is called with broadcastable integer arrays. It is static under `jit`: use a
    module-level function, since a lambda made anew at each call compiles anew at each call. `arguments` are traced.

    `reach(first, last, l_z, *arguments)` is optional and makes long sequences fast: it gives the first key, and the one
    after the last, that queries `first` to `last` may see, for the whole batch; all keys unless given. Two arrays (n,)
    are n such ranges, outside of which these queries see nothing.
    """

    predicate: Callable = struct.field(pytree_node=False)
    arguments: tuple = ()
    reach: Callable | None = struct.field(pytree_node=False, default=None)

    def __call__(self, t_x: jax.Array, t_z: jax.Array) -> jax.Array:
        return self.predicate(t_x, t_z, *self.arguments)

    def keys(self, first: jax.Array, last: jax.Array, l_z: int) -> tuple[jax.Array, jax.Array]:
        """Ranges of keys outside of which queries `first` to `last` see nothing, some of them empty, in any order.

        Returns:
          the first key of each range (n,), and the one after the last (n,).
        """
        begin, end = (0, l_z) if self.reach is None else self.reach(first, last, l_z, *self.arguments)
        begin = jnp.clip(jnp.atleast_1d(jnp.asarray(begin, first.dtype)), 0, l_z)
        return begin, jnp.clip(jnp.atleast_1d(jnp.asarray(end, first.dtype)), begin, l_z)

    def __and__(self, other: MaskLike) -> "Mask":
        return Mask(both_say, (self, as_mask(other)), _keys_of_both)

    def __or__(self, other: MaskLike) -> "Mask":
        return Mask(_either, (self, as_mask(other)), _keys_of_either)

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


def both_say(t_x, t_z, a, b):
    """The predicate of `a & b`."""
    return jnp.logical_and(*_what_both_say(t_x, t_z, a, b))


def _either(t_x, t_z, a, b):
    return jnp.logical_or(*_what_both_say(t_x, t_z, a, b))


def _not(t_x, t_z, a):
    return ~said_by("mask", a, t_x, t_z)


def _what_both_say(t_x, t_z, a, b):
    """What two masks say, with as many axes each."""
    a, b = said_by("mask", a, t_x, t_z), said_by("mask", b, t_x, t_z)
    try:
        jnp.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(f"mask: masks of shapes {a.shape} and {b.shape} do not combine") from None
    return aligned(a, b), aligned(b, a)


def said_by(function: str, mask: Callable, t_x: jax.Array, t_z: jax.Array) -> jax.Array:
    """What a mask's predicate says of these positions, which has to be boolean."""
    said = mask(t_x, t_z)
    dtype = getattr(said, "dtype", type(said).__name__)
    if dtype not in (bool, "bool"):
        raise TypeError(f"{function}: the mask's predicate returned {dtype}, expected bool")
    return jnp.asarray(said)


def _keys_not_later(first, last, l_z):
    return 0, last + 1


def _keys_before(first, last, l_z, lengths):
    return 0, jnp.max(lengths)


def _keys_near(first, last, l_z, width):
    width = jnp.minimum(jnp.max(width).astype(last.dtype), l_z + last)  # the greatest integer is "everything"
    return first - width + 1, last + width


def _keys_same(first, last, l_z, segments):
    if segments.shape[-1] != l_z:
        return 0, l_z
    t = jnp.arange(l_z)
    asked = (t >= first) & (t <= last)
    lowest = jnp.min(jnp.where(asked, segments, jnp.iinfo(segments.dtype).max))
    highest = jnp.max(jnp.where(asked, segments, jnp.iinfo(segments.dtype).min))
    seen = ((segments >= lowest) & (segments <= highest)).reshape(-1, l_z).any(axis=0)
    return jnp.argmax(seen), l_z - jnp.argmax(seen[::-1])


def _keys_of_both(first, last, l_z, a, b):
    (begin_a, end_a), (begin_b, end_b) = a.keys(first, last, l_z), b.keys(first, last, l_z)
    begin = jnp.maximum(begin_a[:, None], begin_b[None, :])
    return begin.reshape(-1), jnp.minimum(end_a[:, None], end_b[None, :]).reshape(-1)


def _keys_of_either(first, last, l_z, a, b):
    of_both = a.keys(first, last, l_z), b.keys(first, last, l_z)
    return tuple(jnp.concatenate(ends) for ends in zip(*of_both, strict=True))


def look_up(t_x, t_z, array):
    # The positions of a dense evaluation are 0 … ℓ-1 in order, so the array is its own answer.
    return array


full = Mask(_everything)
"""Eq. (3), first case: bidirectional attention, every token may attend to every token."""

causal = Mask(_not_later, reach=_keys_not_later)
"""Eq. (3), second case: unidirectional attention, a token may attend to itself and to those before it."""


def padding(lengths: jax.Array) -> Mask:
    """The first `lengths` (...) tokens of the context are real, what follows is padding that nobody attends to.

    Raises:
      TypeError: if `lengths` are not integers.
    """
    lengths = _integers("masks.padding", "lengths", lengths).astype(int)  # the type of a position
    return Mask(_before, (lengths,), _keys_before)


def window(width: jax.Array | int) -> Mask:
    """A sliding window: a token may attend to those less than `width` before or after it. With `causal` it sees `width`
    tokens, itself included.
    """
    return Mask(_near, (jnp.asarray(width),), _keys_near)


def same_segment(segments: jax.Array) -> Mask:
    """Several texts in one sequence: a token may attend to those whose number in `segments` (..., ℓ) is its own.

    Raises:
      TypeError: if `segments` are not integers.
    """
    return Mask(_same, (_integers("masks.same_segment", "segments", segments),), _keys_same)


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
        return Mask(look_up, (jnp.asarray(array),))
    raise TypeError(
        f"{function}: mask is of type {type(mask).__name__}, expected a predicate of (t_x, t_z) or a boolean array"
    )


def dense(mask: MaskLike, l_x: int, l_z: int, *, function: str = "masks") -> jax.Array:
    """The mask as a boolean array (..., ℓ_x, ℓ_z).

    Raises:
      TypeError: if what a predicate returns is not boolean.
      ValueError: if an array, or what a predicate returns, does not end in (ℓ_x, ℓ_z).
    """
    array = said_by(function, as_mask(mask, function=function), jnp.arange(l_x)[:, None], jnp.arange(l_z)[None, :])
    if array.ndim < 2 or array.shape[-2] not in (1, l_x) or array.shape[-1] not in (1, l_z):
        raise ValueError(
            f"{function}: mask has shape {array.shape}, expected (..., ℓ_x, ℓ_z) = (..., {l_x}, {l_z}): "
            "a row for each query, a column for each key"
        )
    return jnp.broadcast_to(array, (*array.shape[:-2], l_x, l_z))


def for_heads(table: jax.Array, axes: int) -> jax.Array:
    """A dense mask (..., ℓ_x, ℓ_z) with `axes` axes of size one before the last two, where heads stand."""
    return table.reshape(*table.shape[:-2], *(1,) * axes, *table.shape[-2:])
