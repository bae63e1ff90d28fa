"""What the comparison found, said to a person as a table and to a program as one object."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .comparing import Comparison
from .judging import Finding, Hint

_STYLES = {"agrees": "green", "differs": "bold red", "follows": "yellow"}


def as_object(found: Comparison) -> dict[str, Any]:
    """For `--json`. An error that is no number is null."""

    def number(size: float) -> float | None:
        return size if isfinite(size) else None

    def hints(several: Sequence[Hint]) -> list[dict[str, Any]]:
        return [{"mistake": hint.mistake, "title": hint.title, "error": hint.error} for hint in several]

    return {
        "agrees": found.agrees,
        "model": found.model,
        "algorithm": found.algorithm,
        "dtype": found.dtype,
        "tolerance": found.tolerance,
        "first": found.first and found.first.path,
        "lines": [
            {
                "line": f.path,
                "error": number(f.total),
                "own_error": number(f.own),
                "verdict": f.verdict,
                "hints": hints(f.hints),
            }
            for f in found.lines
        ],
        "missing": list(found.missing),
    }


def show(console: Console, found: Comparison) -> None:
    """A row for each line, then the first that differs, with what explains it, then the others."""
    head = f"{found.model} against Algorithm {found.algorithm}, {found.dtype}, tolerance {found.tolerance:.1e}"
    console.print(head, highlight=False, soft_wrap=True)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("line", no_wrap=True)
    table.add_column("error", justify="right")
    table.add_column("by itself", justify="right")
    table.add_column("verdict", no_wrap=True)
    for f in found.lines:
        table.add_row(f.path, f"{f.total:.1e}", f"{f.own:.1e}", Text(f.verdict, _STYLES[f.verdict]))
    console.print(table)
    if found.missing:
        console.print(f"not shown by the model: {', '.join(found.missing)}", style="dim", highlight=False)
    if found.agrees:
        console.print("no line differs", style="green")
    for i, alike in enumerate(_alike(found)):
        _explain(console, "the first line that differs" if i == 0 else "differs by itself too", alike)


def _alike(found: Comparison) -> list[list[Finding]]:
    """The lines that differ, those that the same mistakes explain together."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in found.lines:
        if finding.verdict == "differs":
            groups.setdefault(tuple(hint.title for hint in finding.hints), []).append(finding)
    return list(groups.values())


def _explain(console: Console, what: str, alike: list[Finding]) -> None:
    def say(text: str) -> None:
        console.print(text, style="red", highlight=False, markup=False, soft_wrap=True)

    first, *others = alike
    say(f"{what}: {first.path}, error {first.own:.1e}")
    for hint in first.hints:
        say(f"  {hint.title} ({hint.mistake}): with this, {hint.error:.1e}")
    if not first.hints:
        say("  none of the usual mistakes explains it")
    if others:
        say(f"  likewise {', '.join(finding.path for finding in others)}")
