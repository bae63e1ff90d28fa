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


def _both(t_x, t_z, a, b):
    return a(t_x, t_z) & b(t_x, t_z)


def _either(t_x, t_z, a, b):
    return a(t_x, t_z) | b(t_x, t_z)


def _not(t_x, t_z, a):
    return ~a(t_x, t_z)


def _look_up(t_x, t_z, array):
    # The positions of a dense evaluation are 0 … ℓ-1 in order, so the array is its own answer.
    return array


full = Mask(_everything)
"""Eq. (3), first case: bidirectional attention, every token may attend to every token."""

causal = Mask(_not_later)
"""Eq. (3), second case: unidirectional attention, a token may attend to itself and to those before it."""


def padding(lengths: jax.Array) -> Mask:
    """The first `lengths` (...) tokens of the context are real, what follows is padding that nobody attends to."""
    return Mask(_before, (jnp.asarray(lengths),))


def as_mask(mask: MaskLike) -> Mask:
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
        array = jnp.asarray(mask)
        if array.dtype != bool:
            raise TypeError(
                f"mask has dtype {array.dtype}, expected bool with true meaning 'may attend'. Convert it by name: "
                "masks.from_additive (0 keeps, -inf drops), masks.from_torch (true drops), masks.from_padding (true or "
                "1 marks a real token of the context)"
            )
        return Mask(_look_up, (array,))
    raise TypeError(f"mask is {type(mask).__name__}, expected a predicate of (t_x, t_z) or a boolean array")


def dense(mask: MaskLike, l_x: int, l_z: int) -> jax.Array:
    """The mask as a boolean array (..., ℓ_x, ℓ_z).

    Raises:
      ValueError: if an array, or what a predicate returns, does not end in (ℓ_x, ℓ_z).
    """
    array = jnp.asarray(as_mask(mask)(jnp.arange(l_x)[:, None], jnp.arange(l_z)[None, :]))
    if array.dtype != bool:
        raise TypeError(f"the mask's predicate returned {array.dtype}, expected bool")
    if array.ndim < 2 or array.shape[-2] not in (1, l_x) or array.shape[-1] not in (1, l_z):
        raise ValueError(
            f"mask has shape {array.shape}, expected (..., ℓ_x, ℓ_z) = (..., {l_x}, {l_z}): "
            "a row for each query, a column for each key"
        )
    return jnp.broadcast_to(array, (*array.shape[:-2], l_x, l_z))


def for_heads(table: jax.Array, axes: int) -> jax.Array:
    """A dense mask (..., ℓ_x, ℓ_z) with `axes` axes of size one before the last two, where heads stand."""
    return table.reshape(*table.shape[:-2], *(1,) * axes, *table.shape[-2:])


def from_additive(bias: jax.Array) -> jax.Array:
    """A boolean mask from one that is added to the scores: 0 keeps, -inf (or the dtype's least value) drops.

    Raises:
      ValueError: if a value is neither, as in a learned or positional bias, which no mask can express.
    """
    bias = jnp.asarray(bias)
    drops = bias <= jnp.finfo(bias.dtype).min
    if is_concrete(drops) and not bool(jnp.all(drops | (bias == 0))):
        raise ValueError("an additive mask holds 0 and -inf (or the dtype's least value); this one holds other values")
    return ~drops


def from_torch(mask: jax.Array) -> jax.Array:
    """A boolean mask from PyTorch's `MultiheadAttention`, where true means *drop*.

    (`scaled_dot_product_attention` is the other way round: true means keep there, as here.)
    """
    return ~jnp.asarray(mask, bool)


def from_padding(real: jax.Array) -> jax.Array:
    """A mask (..., 1, ℓ_z) from Hugging Face's `attention_mask` (..., ℓ_z): true or 1 marks a real token."""
    return jnp.asarray(real, bool)[..., None, :]
