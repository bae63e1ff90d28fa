"""Masks by blocks of queries and keys, for sequences whose dense mask would not fit into memory."""

from collections.abc import Callable
from functools import partial
from math import ceil
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .contracts import is_concrete
from .masks import Mask, both_say, look_up, said_by

LARGEST_BLOCK = 512
"""How many queries, and how many keys, a block has at most. Threads do not share the products of smaller ones well."""


def block_size(length: int) -> int:
    """The size of blocks for so many tokens: as few as possible of at most `LARGEST_BLOCK`, all of the same size."""
    return ceil(length / ceil(length / LARGEST_BLOCK))


class Blocks(NamedTuple):
    """ℓ_x queries and ℓ_z keys in blocks of `rows` and of `columns`; the last ones are filled up."""

    rows: int
    columns: int
    l_x: int
    l_z: int

    @classmethod
    def of(cls, l_x: int, l_z: int) -> "Blocks":
        """Blocks of a size that suits the lengths."""
        return cls(block_size(l_x), block_size(l_z), l_x, l_z)

    def filled(self, mask: Mask) -> Mask:
        """The mask for whole blocks."""
        return filled(mask, self.l_x + -self.l_x % self.rows, self.l_z + -self.l_z % self.columns)

    def visible(self, mask: Mask, i: jax.Array, j: jax.Array) -> jax.Array:
        """Which of the i-th queries and the j-th keys (..., rows, columns) may attend; none to keys that fill up."""
        table = block(mask, i * self.rows, self.rows, j * self.columns, self.columns)
        real = j * self.columns + jnp.arange(self.columns) < self.l_z
        return table & real[(None,) * (table.ndim - 1)]

    def visits(self, mask: Mask, i: jax.Array) -> "Visits":
        """The blocks of keys that the i-th queries may see any of, each of them once."""
        first, end = mask.keys(i * self.rows, (i + 1) * self.rows - 1, self.l_z)
        first, end = first // self.columns, jnp.where(first < end, (end + self.columns - 1) // self.columns, 0)
        order = jnp.argsort(first)
        first, end = first[order], end[order]
        # Of ranges that overlap the later one begins where those before it end.
        before = jnp.pad(lax.cummax(end)[:-1], (1, 0))
        first = jnp.maximum(first, before)
        return Visits(first, jnp.cumsum(jnp.maximum(end - first, 0)))


class Visits(NamedTuple):
    """Ranges of blocks that follow each other: the first of each (n,), and how many there are up to its end (n,)."""

    first: jax.Array
    up_to: jax.Array

    @property
    def total(self) -> jax.Array:
        """How many blocks there are."""
        return self.up_to[-1]

    def block(self, k: jax.Array) -> jax.Array:
        """The k-th of them, for k in [0, total)."""
        of = jnp.sum(k >= self.up_to)
        return self.first[of] + k - jnp.where(of > 0, self.up_to[of - 1], 0)


class Range(NamedTuple):
    """n positions from `first` on."""

    first: int
    n: int

    def of(self, A: jax.Array, axis: int) -> jax.Array:
        """The part of an array that has these positions on an axis."""
        return lax.slice_in_dim(A, self.first, self.first + self.n, axis=axis)


def quarters(mask: Mask, l_x: int, l_z: int) -> list[tuple[Range, Range]]:
    """Four ranges of queries, and for each a range of keys outside of which it sees nothing.

    The keys are what is known of a mask before a program runs: all of them for masks that are traced, where `Blocks`
    knows more. At least one, so that a query that sees nothing has a row of scores all the same.
    """
    size = ceil(l_x / 4)
    rows = [Range(first, min(size, l_x - first)) for first in range(0, l_x, size)]
    return [(queries, _known_keys(mask, queries, l_z)) for queries in rows]


def _known_keys(mask: Mask, queries: Range, l_z: int) -> Range:
    def known(mask: Mask) -> tuple[int, int]:
        if mask.predicate is both_say:  # what one leaves out is left out, whatever the other is
            (begin_a, end_a), (begin_b, end_b) = map(known, mask.arguments)
            return max(begin_a, begin_b), min(end_a, end_b)
        if mask.reach is None or not is_concrete(*jax.tree.leaves(mask)):
            return 0, l_z
        position = jax.dtypes.canonicalize_dtype(int).type
        first, last = position(queries.first), position(queries.first + queries.n - 1)
        with jax.ensure_compile_time_eval():
            begin, end = mask.reach(first, last, l_z, *mask.arguments)
        if not is_concrete(begin, end):
            return 0, l_z
        ranges = zip(np.ravel(begin).clip(0, l_z), np.ravel(end).clip(0, l_z), strict=True)
        some = [(int(b), int(e)) for b, e in ranges if b < e]
        return min((b for b, _ in some), default=0), max((e for _, e in some), default=0)

    begin, end = known(mask)
    begin = min(begin, l_z - 1)
    return Range(begin, max(end - begin, 1))


def holds_array(mask: Mask) -> bool:
    """Whether a boolean array (..., ℓ_x, ℓ_z) is a part of the mask."""
    return mask.predicate is look_up or any(isinstance(a, Mask) and holds_array(a) for a in mask.arguments)


def block(mask: Mask, first_x: jax.Array | int, n_x: int, first_z: jax.Array | int, n_z: int) -> jax.Array:
    """A part of the dense mask: (..., n_x, n_z) from row `first_x` and column `first_z` on."""

    def part(array):
        for axis, first, n in ((-2, first_x, n_x), (-1, first_z, n_z)):
            if array.shape[axis] > 1:
                array = jax.lax.dynamic_slice_in_dim(array, first, n, axis)
        return array

    t_x, t_z = (first_x + jnp.arange(n_x))[:, None], (first_z + jnp.arange(n_z))[None, :]
    table = said_by("masks", _on_arrays(part, mask), t_x, t_z)
    return jnp.broadcast_to(table, (*table.shape[:-2], n_x, n_z))


def filled(mask: Mask, l_x: int, l_z: int) -> Mask:
    """The mask for sequences that are filled up to ℓ_x and ℓ_z tokens: its arrays say false of what is new."""

    def extended(array):
        missing = [n - old if old > 1 else 0 for n, old in zip((l_x, l_z), array.shape[-2:], strict=True)]
        return jnp.pad(array, [*[(0, 0)] * (array.ndim - 2), *((0, n) for n in missing)])

    return _on_arrays(extended, mask)


def _on_arrays(f: Callable[[jax.Array], jax.Array], mask: Mask) -> Mask:
    """The mask, with `f` applied to the boolean arrays that are its parts."""
    if mask.predicate is look_up:
        return Mask(look_up, (f(mask.arguments[0]),))
    arguments = tuple(_on_arrays(f, a) if isinstance(a, Mask) else a for a in mask.arguments)
    return mask.replace(arguments=arguments)  # type: ignore[attr-defined]


@partial(jax.jit, static_argnums=(1, 2))
def sees(mask: Mask, l_x: int, l_z: int) -> jax.Array:
    """Whether each query may attend to anything, (..., ℓ_x), in O(ℓ) memory."""
    blocks = Blocks.of(l_x, l_z)
    mask = blocks.filled(mask)

    def of_queries(i):
        visits = blocks.visits(mask, i)

        def with_keys(k, seen):
            return seen | blocks.visible(mask, i, visits.block(k)).any(axis=-1)

        nothing = jnp.zeros(jax.eval_shape(lambda: with_keys(i, jnp.zeros((), bool))).shape, bool)
        return lax.fori_loop(0, visits.total, with_keys, nothing)

    seen = jnp.moveaxis(lax.map(of_queries, jnp.arange(ceil(l_x / blocks.rows))), 0, -2)
    return seen.reshape(*seen.shape[:-2], -1)[..., :l_x]
