"""What is done at every tagged value that an evaluation comes by: it is noted, or another is put in its place."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn

from .lines import line_p
from .places import Place, Site

Replacement = Callable[[jax.Array, tuple[Any, ...]], jax.Array]
"""(a tagged value, the number of the iteration of each scan around it) -> what takes its place."""


@dataclass
class Walk:
    """One evaluation's notes.

    Attributes:
      collect: whether to note the values, which then are tagged no more; if not, they are replaced.
      replacements: by path, what is put in the place of a value, one after the other.
      sites: by path, where values are tagged; complete as soon as the evaluation is traced.
      values: by path, the values, if they are noted.
      met: how often each path has been met: the second time it gets `#2`.
      unnamed: by its identity, what `checkpoint_name` has given back, and what it was given.
    """

    collect: bool = True
    replacements: Mapping[str, Sequence[Replacement]] = field(default_factory=dict)
    sites: dict[str, Site] = field(default_factory=dict)
    values: dict[str, jax.Array] = field(default_factory=dict)
    met: Counter = field(default_factory=Counter)
    unnamed: dict[int, tuple[jax.Array, jax.Array]] = field(default_factory=dict)

    def numbered(self, prefix: str, name: str) -> str:
        """`name`, or `name#2` if `prefix` has led to one already."""
        self.met[prefix + name] += 1
        n = self.met[prefix + name]
        return name if n == 1 else f"{name}#{n}"

    def inside(self) -> "Walk":
        """For the body of a loop or of a branch: it may be traced more than once, and counts on from here each time."""
        return Walk(self.collect, self.replacements, self.sites, {}, Counter(self.met))

    def leave(self, inside: "Walk", values: Mapping[str, jax.Array]) -> None:
        """Note what was found inside, and go on counting where that stopped."""
        self.values.update(values)
        self.met = inside.met

    def named(self, after: jax.Array, before: jax.Array) -> None:
        """`after` is `before`, named by `checkpoint_name`: to know a value again that is tagged twice."""
        self.unnamed[id(after)] = after, self.unnamed.get(id(before), (before, before))[1]

    def distinct(self) -> tuple[list[jax.Array], dict[str, int]]:
        """The values without repetitions, and by path which of them it is.

        A function's last line is often a line of its caller's too, and to copy it twice takes time.
        """
        unique = {id(value): value for value in self.values.values()}
        number = {identity: n for n, identity in enumerate(unique)}
        return list(unique.values()), {path: number[id(value)] for path, value in self.values.items()}

    def visit(self, equation: JaxprEqn, value: Any, place: Place, used: bool) -> jax.Array:
        """What a tagged value becomes. The axes of `vmap` lead while it is looked at."""
        label, batch_axes = equation.params["label"], equation.params["batch_axes"]
        value = value if isinstance(value, jax.Array) else jnp.asarray(value)
        path = place.path + self.numbered(place.path, label)
        self.sites[path] = place.site(path, value.ndim - len(batch_axes), len(batch_axes), used)
        front = tuple(range(len(batch_axes)))
        moved = value if batch_axes == front else jnp.moveaxis(value, batch_axes, front)
        if self.collect:
            self.values[path] = self.unnamed.get(id(moved), (moved, moved))[1]
            return value
        for replacement in self.replacements.get(path, ()):
            moved = replacement(moved, place.scans)
        value = moved if batch_axes == front else jnp.moveaxis(moved, front, batch_axes)
        return line_p.bind(value, label=label, batch_axes=batch_axes)
