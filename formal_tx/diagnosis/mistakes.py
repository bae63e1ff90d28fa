"""What a mistake is: rewrites of the pseudocode's text, found by their form, so that they apply to every algorithm."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from . import patterns
from .programs import Edit, Function


@dataclass(frozen=True, eq=False)
class Rewrite:
    """One form of text and what stands in its place.

    Attributes:
      pattern: an expression or statements; names that begin with an underscore stand for any expression.
      replacement: the same names stand for the same; empty to delete statements.
      where: for such a name, a regular expression that the text has to match.
    """

    pattern: str
    replacement: str
    where: Mapping[str, str] = field(default_factory=dict)

    def edits(self, function: Function) -> Iterator[tuple[Edit, Mapping[str, str]]]:
        """What to do at each place of a function, and the text that the underscored names stand for there."""
        node = patterns.is_expression(self.pattern)
        for nodes, bound in patterns.matches(self.pattern, function.tree, self.where):
            used = {name: part for name, part in bound.items() if name in self.replacement}
            edit = Edit(
                function.name,
                tuple(min(n.marks) for n in nodes),  # type: ignore[attr-defined]
                self.replacement,
                tuple((name, min(part.marks)) for name, part in used.items()),  # type: ignore[attr-defined]
                node,
            )
            yield edit, {name: patterns.text(part) for name, part in bound.items()}


class Sites(Enum):
    """Where a mistake is made that could be made at several places of one function."""

    EACH = "each"  # at each place alone, at all places of a function, and at all places of the program
    ALL = "all"  # at all places of a function: it would not be one mistake otherwise
    BORDER = "border"  # where the algorithm meets its caller, and in no algorithm that it calls


@dataclass(frozen=True, eq=False)
class Mistake:
    """A mistake that people make when they write a transformer.

    Attributes:
      id: what it is called in JSON, `scale-missing`.
      title: what was done, in words; `{_b}` is the text that an underscored name stands for.
      ways: each a set of rewrites that are made together; several where the same mistake is written in several ways.
      sites: where it is made.
      functions: the names of the functions in which alone it makes sense; empty for all.
    """

    id: str
    title: str
    ways: tuple[tuple[Rewrite, ...], ...]
    sites: Sites = Sites.EACH
    functions: tuple[str, ...] = ()


def mistake(
    id: str,
    title: str,
    *ways: tuple[str, str] | tuple[Rewrite, ...] | Rewrite,
    where: Mapping[str, str] = MappingProxyType({}),
    together: bool = False,
    border: bool = False,
    functions: tuple[str, ...] = (),
) -> Mistake:
    """A mistake whose ways are pairs (pattern, replacement), rewrites, or several rewrites that are made together."""

    def rewrites(way: Any) -> tuple[Rewrite, ...]:
        if isinstance(way, Rewrite):
            return (way,)
        if isinstance(way[0], Rewrite):
            return way
        pattern, replacement = way
        return (Rewrite(pattern, replacement, where),)

    sites = Sites.BORDER if border else Sites.ALL if together else Sites.EACH
    return Mistake(id, title, tuple(rewrites(way) for way in ways), sites, functions)
