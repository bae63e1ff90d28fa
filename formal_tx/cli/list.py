"""`formal-tx list`: the algorithms and the systems, what they do, and where their editions live."""

from typing import Annotated, Any

import typer
from rich.text import Text

from ..crosscheck import ALGORITHMS, Algorithm
from ..crosscheck.source import library_place
from .console import output, output_json


def list_algorithms(
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, with the files of every system.")
    ] = False,
) -> None:
    """The algorithms of the paper and the systems of the reading list, and where both editions live."""
    from ..crosscheck.systems import SYSTEMS, System

    if json:
        output_json(
            {"algorithms": [_algorithm(one) for one in ALGORITHMS], "systems": [one.as_object for one in SYSTEMS]}
        )
        return
    for algorithm in ALGORITHMS:
        _entry(f"{algorithm.number:2}  ", algorithm.name, algorithm.purpose, _places(algorithm))
    by_heading: dict[str, list[System]] = {}
    for system in SYSTEMS:
        by_heading.setdefault(system.heading, []).append(system)
    for heading, systems in by_heading.items():
        output.print(f"\n{heading.replace('_', ' ').capitalize()}", highlight=False)
        for system in systems:
            places = ", ".join(system.files[part] for part in ("pseudocode", "function"))
            _entry("    ", system.name, system.title, places)
            _dim("check: " + ", ".join(check.name for check in system.checks))


def _entry(start: str, name: str, what: str, places: str) -> None:
    output.print(Text(start).append(name, style="bold").append(f": {what}"), soft_wrap=True)
    _dim(places)


def _dim(text: str) -> None:
    output.print(Text(f"    {text}", style="dim"), soft_wrap=True)


def _places(algorithm: Algorithm) -> str:
    return f"algorithms/{algorithm.file}.py, {library_place(algorithm)}"


def _algorithm(algorithm: Algorithm) -> dict[str, Any]:
    places = {"pseudocode": f"algorithms/{algorithm.file}.py", "function": library_place(algorithm)}
    return {"number": algorithm.number, "name": algorithm.name, "purpose": algorithm.purpose, "files": places}
