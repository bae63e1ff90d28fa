"""What a check found, said to a person as a table and to a program as one object."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from .catalog import Algorithm
from .compare import Comparison, Difference
from .draws import Case
from .layout import leaves
from .source import library_lines

ITERATION = {5: "head", 8: "layer", 9: "layer", 10: "layer", 11: "update", 12: "update", 13: "update", 14: "token"}
ITERATION |= {15: "token"}


def where(algorithm: Algorithm, difference: Difference) -> str:
    """The place of a difference: `8. X, layer 3`, or `6. theta, update 2`."""
    name = difference.variable.split(".")[0]
    if difference.times == 1:
        return f"{difference.number}. {name}"
    return f"{difference.number}. {name}, {ITERATION.get(algorithm.number, 'pass')} {difference.iteration + 1}"


def table(comparisons: Iterable[Comparison]) -> Table:
    """A row for each algorithm: which lines agree, to what error, and where it is largest."""
    result = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    result.add_column("", justify="right")
    result.add_column("Algorithm", no_wrap=True)
    result.add_column("lines", justify="right")
    result.add_column("worst error", justify="right")
    result.add_column("where")
    result.add_column("verdict")
    for c in comparisons:
        verdict = Text("agree", style="green") if c.agrees else Text("DISAGREE", style="bold red")
        if c.single_precision:
            verdict = Text("agree to single precision", style="green")
        result.add_row(
            str(c.algorithm.number or ""),
            c.algorithm.name,
            f"{c.lines_compared} / {c.lines}" if c.shows_lines else "the result",
            "" if c.worst is None else f"{c.worst.error:.1e}",
            "" if c.worst is None else where(c.algorithm, c.worst) if c.by_line else c.worst.variable,
            verdict,
        )
    return result


def as_object(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The same as one object for JSON. An error that is no number (a nan, another shape) is null."""

    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    def one(c: Comparison) -> dict[str, Any]:
        worst = c.worst
        result: dict[str, Any] = {
            "algorithm": c.algorithm.number,
            "name": c.algorithm.name,
            "agrees": c.agrees,
            "lines_compared": c.lines_compared,
            "lines": c.lines,
            "cases": c.cases,
            "worst_error": None if worst is None else number(worst.error),
            "worst_line": None if worst is None else worst.number,
            "worst_variable": None if worst is None else worst.variable,
        }
        if c.single_precision:
            result["single_precision"] = True
        if c.first_bad is not None:
            bad = c.first_bad
            result["first_bad"] = {
                "line": bad.number,
                "variable": bad.variable,
                "error": number(bad.error),
                "allowed": bad.allowed,
                "case": bad.case,
            } | ({"raised": bad.raised} if bad.raised else {})
        return result

    return {"agrees": all(c.agrees for c in comparisons), "algorithms": [one(c) for c in comparisons]}


def explain(comparison: Comparison) -> RenderableType:
    """The first bad line in both editions, or the inputs of the failing case, and what each made of it."""
    bad, algorithm, case = comparison.first_bad, comparison.algorithm, comparison.failing
    assert bad is not None
    which = f" ({bad.variable})" if "." in bad.variable else ""
    if bad.raised:
        text = Text(f"In the case “{bad.case}” it {bad.raised}.")
        return Panel(text, title=_title(comparison), title_align="left", border_style="red")
    parts: list[RenderableType] = [Text(f"In the case “{bad.case}” it{which} differs by {_size(bad)}.\n")]
    if comparison.by_line:
        parts += [Text("the paper", style="bold"), _code(algorithm.listing.text(bad.number))]
        parts += [Text("the library", style="bold"), _code(library_lines(algorithm).get(bad.number, ""))]
    elif comparison.shows_lines:
        parts += [Text("the paper", style="bold"), _code(algorithm.listing.text(bad.number))]
    if case is not None:
        parts += [Text("called with", style="bold"), Text(_inputs(algorithm, case))]
    parts += [Text("expected", style="bold"), Text(_array(bad.expected)), Text("found", style="bold")]
    parts += [Text(_array(bad.found))]
    return Panel(Group(*parts), title=_title(comparison), title_align="left", border_style="red")


def _title(comparison: Comparison) -> str:
    algorithm, bad = comparison.algorithm, comparison.first_bad
    assert bad is not None
    place = f"line {where(algorithm, bad)}" if comparison.shows_lines else "the result"
    return f"{algorithm.label}: {place}"


def _size(bad: Difference) -> str:
    if bad.found.shape != bad.expected.shape:
        return f"its shape: {bad.found.shape} instead of {bad.expected.shape}"
    if not math.isfinite(bad.error):
        return "being finite: one has a number where the other has none"
    return f"{bad.error:.2g} of the largest value (up to {bad.allowed:.0e} is rounding)"


def _code(text: str) -> Syntax:
    return Syntax(text, "python", background_color="default", word_wrap=True)


def _inputs(algorithm: Algorithm, case: Case) -> str:
    lines = []
    for name in algorithm.signature or case.arguments:
        value = case.arguments.get(name)
        if isinstance(value, np.ndarray):
            lines.append(f"{name} =\n{_array(value)}")
        elif hasattr(value, "__dataclass_fields__"):
            lines += [f"{name}.{path} =\n{_array(leaf)}" for path, leaf in leaves(value).items()]
        elif value is not None:
            lines.append(f"{name} = {value}")
    return "\n".join(lines)


def _array(value: np.ndarray) -> str:
    with np.printoptions(precision=6, suppress=True, threshold=60, edgeitems=3, linewidth=110):
        return str(np.asarray(value))


def show(console: Console, comparisons: Sequence[Comparison]) -> None:
    """Print the table, and explain every disagreement."""
    console.print(table(comparisons))
    cases, seconds = sum(c.cases for c in comparisons), sum(c.seconds for c in comparisons)
    console.print(f"{cases} cases in {seconds:.0f} seconds", style="dim", highlight=False)
    for comparison in comparisons:
        if not comparison.agrees:
            console.print(explain(comparison))
