"""`formal-tx mistakes`: the mistakes that the diagnosis knows."""

import json as json_format
from typing import Annotated

import typer
from rich.table import Table

from .console import output


def mistakes(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """List the mistakes that `check --against` can name, and the algorithms in which each can be made."""
    from ..crosscheck.catalog import ALGORITHMS, FORMULAS
    from ..crosscheck.systems import CHECKS
    from ..diagnosis import MISTAKES, OF_SYSTEMS, mutants

    known = (*MISTAKES, *OF_SYSTEMS)
    places: dict[str, list[int | str]] = {mistake.id: [] for mistake in known}
    for algorithm in (*ALGORITHMS, *FORMULAS, *CHECKS):
        for id in dict.fromkeys(m.mistake.id for m in mutants(algorithm) if m.algorithm == algorithm.paper_name):
            places[id].append(algorithm.number or algorithm.name)
    if json:
        listed = [{"mistake": m.id, "title": _title(m.title), "algorithms": places[m.id]} for m in known]
        print(json_format.dumps(listed, ensure_ascii=False, indent=2))
        return
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("mistake", "what was done", "in algorithm"):
        table.add_column(name, no_wrap=name == "mistake")
    for mistake in known:
        table.add_row(mistake.id, _title(mistake.title), ", ".join(map(str, places[mistake.id])))
    output.print(table)


def _title(title: str) -> str:
    """A title without a place: `the bias b is forgotten`."""
    return title.format_map({"_b": "b", "_W": "W", "_g": "γ"})
