"""What the laws found, said to a person as a table and to a program as one object."""

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .run import Finding

_STYLES = {"holds": "green", "violated": "bold red", "could not run": "bold yellow", "does not apply": "dim"}


def as_object(findings: Sequence[Finding]) -> dict[str, Any]:
    """For `--json`. An error that is no number (a nan where the other has none, another shape) is null."""

    def one(finding: Finding) -> dict[str, Any]:
        size = finding.error
        return {
            "law": finding.law,
            "statement": finding.statement,
            "outcome": finding.outcome,
            "error": size if size is not None and math.isfinite(size) else None,
            "allowed": finding.allowed,
            "where": dict(finding.where),
            "reason": finding.reason,
        }

    models = list(dict.fromkeys(f.model for f in findings))
    return {
        "holds": all(f.outcome in ("holds", "does not apply") for f in findings),
        "models": [{"model": name, "laws": [one(f) for f in findings if f.model == name]} for name in models],
    }


def show(console: Console, findings: Sequence[Finding]) -> None:
    """A table for each model, and the statement of each law that is violated."""
    for name in dict.fromkeys(f.model for f in findings):
        own = [f for f in findings if f.model == name]
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", title=name, title_justify="left")
        for column in ("law", "verdict", "error", "where, or why not"):
            table.add_column(column, no_wrap=column != "where, or why not")
        for finding in own:
            table.add_row(*_row(finding))
        console.print(table)
        for finding in own:
            if finding.outcome == "violated":
                console.print(f"violated: {finding.law}. {finding.statement}", style="red", highlight=False)


def _row(finding: Finding) -> tuple[Text, ...]:
    style = _STYLES[finding.outcome]
    size = "" if finding.error is None else f"{finding.error:.1e}"
    shown = finding.where if finding.outcome == "violated" else ()
    where = ", ".join([*(f"{name} {index}" for name, index in shown), *filter(None, [finding.reason])])
    dim = "dim" if finding.outcome == "does not apply" else ""
    return Text(finding.law, dim), Text(finding.outcome, style), Text(size), Text(where, dim)


def exit_status(findings: Sequence[Finding]) -> int:
    """0 if all hold that apply, 1 if one is violated, 2 if one could not run."""
    outcomes = {f.outcome for f in findings}
    return 1 if "violated" in outcomes else 2 if "could not run" in outcomes else 0
