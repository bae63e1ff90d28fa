"""A diagnosis, said to a person as a panel and to a program as a list."""

import math
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from ..crosscheck.catalog import ALGORITHMS, FORMULAS
from .diagnose import Diagnosis
from .evidence import Explanation
from .mutants import Mutant
from .programs import program

_ALGORITHMS = {algorithm.name: algorithm for algorithm in (*ALGORITHMS, *FORMULAS)}


def place(mutant: Mutant) -> str:
    """Where a mistake is: `Algorithm 4, attention, line 6`."""
    found = _ALGORITHMS.get(mutant.algorithm)
    return f"{found.label if found else mutant.algorithm}, line {mutant.line}"


def editions(diagnosis: Diagnosis, mutant: Mutant) -> tuple[str, str]:
    """The statements that a mistake changes, as the paper has them and as they were probably written."""
    return program(diagnosis.algorithm).statement(mutant.edits)


def as_list(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """The explanations for JSON, the best first; a distance that is no number (another shape, an exception) is null."""
    return [_one(diagnosis, explanation) for explanation in diagnosis.explanations]


def _one(diagnosis: Diagnosis, explanation: Explanation) -> dict[str, Any]:
    parts = []
    for mutant in explanation.mutants:
        paper, instead = editions(diagnosis, mutant)
        found = _ALGORITHMS.get(mutant.algorithm)
        parts.append(
            {
                "mistake": mutant.mistake.id,
                "title": mutant.title,
                "algorithm": found.number if found else mutant.algorithm,
                "line": mutant.line,
                "paper": paper,
                "instead": instead,
            }
        )
    judged = {
        "explains": explanation.explains,
        "distance": explanation.distance if math.isfinite(explanation.distance) else None,
    }
    if len(parts) == 1:
        return parts[0] | judged
    whole = {
        "mistake": " + ".join(explanation.mistakes),
        "title": explanation.title,
        "algorithm": parts[0]["algorithm"],
        "line": parts[0]["line"],
    }
    return whole | judged | {"parts": parts}


def panel(diagnosis: Diagnosis) -> RenderableType:
    """What was probably done, with the line of the paper in both editions."""
    explained = diagnosis.explained
    others = [e for e in diagnosis.explanations if not e.explains]
    parts: list[RenderableType] = []
    if not explained:
        tried = "no known mistake and no pair of them" if diagnosis.complete else "no known mistake, and no pair tried,"
        parts.append(Text(f"Nothing explains it: {tried} gives these numbers."))
    elif len(explained) > 1:
        parts.append(Text("These explain it equally well: on every telling case they give the same numbers."))
    for explanation in explained:
        for i, mutant in enumerate(explanation.mutants):
            if parts:
                parts.append(Text(""))
            parts += _explained(diagnosis, mutant, joined=i > 0)
    if others:
        parts += [Text(""), Text("not as near:" if explained else "the nearest:", style="dim"), _others(others)]
    title = "What was probably done" if explained else "What was done is not known"
    return Panel(Group(*parts), title=title, title_align="left", border_style="yellow")


def _explained(diagnosis: Diagnosis, mutant: Mutant, *, joined: bool) -> list[RenderableType]:
    paper, instead = editions(diagnosis, mutant)
    start = "and " if joined else ""
    return [
        Text(f"{start}{mutant.title}", style="bold"),
        Text(f"{place(mutant)} ({mutant.mistake.id})"),
        Text("the paper", style="dim"),
        _code(paper),
        Text("instead", style="dim"),
        _code(instead or "# left out"),
    ]


def _others(explanations: list[Explanation]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), show_header=False)
    table.add_column(justify="right")
    table.add_column()
    for explanation in explanations:
        where = "; ".join(place(mutant) for mutant in explanation.mutants)
        table.add_row(f"{explanation.distance:.1e}", f"{explanation.title} ({where})", style="dim")
    return table


def _code(text: str) -> Syntax:
    return Syntax(text, "python", background_color="default", word_wrap=True)
