"""The mutants of an algorithm: what its program becomes when somebody makes one of the mistakes of the catalogue."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ..crosscheck.catalog import Algorithm
from .catalogue import mistakes_of
from .mistakes import Mistake, Rewrite, Sites
from .programs import Edit, Function, Program, program


@dataclass(frozen=True, eq=False)
class Mutant:
    """A mistake made at one place of a program, or at several.

    Attributes:
      mistake: which one.
      title: the same in words, for this place.
      edits: what is changed.
      algorithm: the name of the algorithm in which it is, which may be one that the program calls.
      line: the paper's line there.
      sites: at how many places it is made.
    """

    mistake: Mistake
    title: str
    edits: tuple[Edit, ...]
    algorithm: str
    line: int
    sites: int

    @property
    def functions(self) -> frozenset[str]:
        """The functions that it changes."""
        return frozenset(edit.function for edit in self.edits)


@cache
def mutants(algorithm: Algorithm) -> tuple[Mutant, ...]:
    """Every mutant of an algorithm: each mistake wherever its form occurs, in the algorithm and in those it calls."""
    made = program(algorithm)
    found: dict[frozenset[Edit], Mutant] = {}
    for mistake in mistakes_of(algorithm):
        for way in mistake.ways:
            for mutant in _of_way(mistake, way, made):
                found.setdefault(frozenset(mutant.edits), mutant)
    return tuple(found.values())


def _of_way(mistake: Mistake, way: tuple[Rewrite, ...], made: Program) -> Iterator[Mutant]:
    everywhere: list[Mutant] = []
    for function in made.functions.values():
        if mistake.functions and function.name not in mistake.functions:
            continue
        if mistake.sites is Sites.BORDER and function.name != made.main:
            continue
        each = [list(rewrite.edits(function)) for rewrite in way]
        if not all(each):
            continue
        if len(way) == 1 and mistake.sites is Sites.EACH:
            alone = [_mutant(mistake, function, [site]) for site in each[0]]
            yield from alone
            if len(alone) > 1:
                yield _mutant(mistake, function, each[0])
            everywhere += alone
        else:
            whole = _mutant(mistake, function, [site for sites in each for site in sites])
            yield whole
            everywhere.append(whole)
    if len({mutant.algorithm for mutant in everywhere}) > 1:
        edits = tuple(edit for mutant in everywhere for edit in mutant.edits)
        first = everywhere[0]
        yield Mutant(mistake, _everywhere(mistake), edits, first.algorithm, first.line, len(everywhere))


def _mutant(mistake: Mistake, function: Function, sites: list) -> Mutant:
    edits = tuple(edit for edit, _ in sites)
    names = {name: _short(text) for _, bound in sites for name, text in bound.items()}
    several = len({edit.marks for edit in edits}) > 1 and mistake.sites is Sites.EACH
    title = _everywhere(mistake) if several else mistake.title.format_map(names)
    line = min(_line(function, edit) for edit in edits)
    return Mutant(mistake, title, edits, function.name, line, len(sites))


def _short(text: str) -> str:
    return text.removeprefix("W.")


def _everywhere(mistake: Mistake) -> str:
    """The title where the mistake is made at several places."""
    title = mistake.title
    for name in ("{_b}", "{_W}", "{_g}"):
        title = title.replace(f"the bias {name}", "every bias").replace(f" with {name} and {{_b}}", "")
        title = title.replace(f" with {name}", "").replace(name, "every matrix")
    return f"{title}, wherever it could be" if title == mistake.title else f"{title} (everywhere)"


def _line(function: Function, edit: Edit) -> int:
    return function.number(function.node(edit.marks[0]))
