"""`formal-tx vectors`: inputs, intermediates and outputs of every algorithm as files, for ports to other languages."""

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ..crosscheck import ALGORITHMS, Algorithm
from .console import algorithm, give_up, messages, output, output_json

if TYPE_CHECKING:
    from ..vectors import Verdict


def vectors(
    numbers: Annotated[
        list[str] | None, typer.Argument(metavar="[N]...", help="Numbers or names of algorithms; all unless given.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write vectors into this directory.")] = None,
    verify: Annotated[Path | None, typer.Option(metavar="DIR", help="Verify the vectors of this directory.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write conformance vectors, or verify them: checksums, and the values by running the pseudocode again.

    Exit status: 0 if all is well, 1 if a value disagrees, 2 if it could not run or a file is not the one written.
    """
    if (out is None) == (verify is None):
        give_up("expected one of --out DIR, which writes vectors, and --verify DIR, which verifies them")
    if verify is not None and numbers:
        give_up(f"--verify {verify} verifies all algorithms that are there, expected no number")
    if out is not None:
        _write(out, [algorithm(n) for n in numbers] if numbers else list(ALGORITHMS), json)
    else:
        assert verify is not None
        _verify(verify, json)


def _write(directory: Path, algorithms: list[Algorithm], json: bool) -> None:
    from ..vectors import write_vectors

    with messages.status("") as status:
        index = write_vectors(directory, dict.fromkeys(algorithms), lambda one: status.update(one.label))
    entries = index["algorithms"]
    written = {
        "directory": str(directory),
        "algorithms": [entry["number"] for entry in entries],
        "cases": sum(len(entry["cases"]) for entry in entries),
        "tensors": sum(len(case["tensors"]) for entry in entries for case in entry["cases"]),
        "bytes": sum(entry["bytes"] for entry in entries),
    }
    if json:
        output_json(written)
    else:
        text = "{cases} cases of {number} algorithms, {tensors} tensors, {bytes:,} bytes in {directory}"
        output.print(text.format(number=len(entries), **written), highlight=False, markup=False, soft_wrap=True)


def _verify(directory: Path, json: bool) -> None:
    from ..vectors import verify_vectors

    with messages.status("") as status:
        verdicts = verify_vectors(directory, lambda one: status.update(one.label))
    agree = all(v.agrees for v in verdicts)
    if json:
        output_json({"agrees": agree, "algorithms": [_as_json(v) for v in verdicts]})
    else:
        table = Table("", "Algorithm", "cases", "tensors", "worst error", "verdict", box=None, padding=(0, 1, 0, 0))
        for v in verdicts:
            verdict = "identical" if v.identical else "agrees" if v.agrees else f"DISAGREES in {v.where}"
            numbers = (str(v.algorithm.number), v.algorithm.name, str(v.cases), str(v.tensors), f"{v.worst:.1e}")
            table.add_row(*numbers, verdict)
        output.print(table)
    raise typer.Exit(0 if agree else 1)


def _as_json(verdict: "Verdict") -> dict[str, Any]:
    return {
        "algorithm": verdict.algorithm.number,
        "name": verdict.algorithm.name,
        "agrees": verdict.agrees,
        "identical": verdict.identical,
        "cases": verdict.cases,
        "tensors": verdict.tensors,
        "worst_error": verdict.worst if isfinite(verdict.worst) else None,
        "worst_tensor": verdict.where,
    }
