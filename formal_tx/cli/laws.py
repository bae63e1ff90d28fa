"""`formal-tx laws`: the invariants of the algorithms, on the library or on somebody's function."""

from typing import Annotated

import typer

from ..crosscheck import ALGORITHMS
from .check import DType, Framework
from .console import algorithm, give_up, messages, output, output_json


def laws(
    candidate: Annotated[
        str | None, typer.Argument(metavar="[FILE:FUNCTION]", help="A function; the library's own unless given.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="The algorithm whose arguments it takes: a number or a name, or encoder, decoder, …"),
    ] = None,
    framework: Annotated[Framework, typer.Option(help="With --kind: what its arrays are.")] = Framework.numpy,
    dtype: Annotated[DType, typer.Option(help="Precision of the library, or with --kind.")] = DType.float64,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the inputs.")] = 0,
    time_limit: Annotated[float, typer.Option(min=0.1, help="Seconds that FILE:FUNCTION may take.")] = 300,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Try every law that applies: causality, masked keys, order, padding, heads, batches, caches, …

    Exit status: 0 if all hold, 1 if one is violated, 2 if one could not run.

    The function takes an algorithm's arguments, as `formal-tx check N --against` calls it (--kind says which algorithm,
    unless its name does), or it takes none and returns a model of formal_tx.crosscheck.adapters, or a list of them.
    """
    from ..crosscheck.adapters.algorithms import SHORT_NAMES
    from ..crosscheck.candidate import CannotRun
    from ..crosscheck.laws import report
    from ..crosscheck.laws.process import run_file

    chosen = [] if kind is None else [algorithm(SHORT_NAMES.get(kind, kind))]
    if candidate is None:
        if framework is not Framework.numpy:
            give_up("--framework says how to call FILE:FUNCTION, and there is none")
        findings = _of_library(chosen or list(ALGORITHMS), dtype.value, seed)
    else:
        number = chosen[0].number if chosen else 0
        try:
            findings = run_file(
                candidate,
                kind=number,
                framework=framework.value,
                dtype=dtype.value,
                seed=seed,
                time_limit=time_limit,
            )
        except CannotRun as reason:
            give_up(str(reason))
    if json:
        output_json(report.as_object(findings))
    else:
        report.show(output, findings)
    raise typer.Exit(report.exit_status(findings))


def _of_library(chosen, dtype: str, seed: int):
    from ..crosscheck.adapters.library import of_library
    from ..crosscheck.laws import run

    findings = []
    with messages.status("") as status:
        for one in chosen:
            status.update(one.label)
            for model in of_library(one, dtype):
                findings += run(model, seed=seed)
    return findings
