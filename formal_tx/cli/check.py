"""`formal-tx check`: runs both editions and says, line by line, whether they agree."""

from enum import StrEnum
from typing import Annotated

import typer

from ..crosscheck import ALGORITHMS, Comparison, report
from ..crosscheck import check as check_both
from ..crosscheck.candidate import CannotRun, check_candidate
from .console import algorithm, give_up, messages, output


class DType(StrEnum):
    float64 = "float64"
    float32 = "float32"


class Framework(StrEnum):
    numpy = "numpy"
    jax = "jax"
    torch = "torch"


class Layout(StrEnum):
    rows = "rows"
    columns = "columns"


def check(
    numbers: Annotated[
        list[str] | None, typer.Argument(metavar="[N]...", help="Numbers or names of algorithms; all unless given.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random cases.")] = 0,
    cases: Annotated[int, typer.Option(min=1, help="How many random cases of each kind.")] = 3,
    dtype: Annotated[DType, typer.Option(help="Precision of the library, or of --against.")] = DType.float64,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    against: Annotated[
        str | None, typer.Option(metavar="FILE:FUNCTION", help="Check this function instead of the library's.")
    ] = None,
    framework: Annotated[Framework, typer.Option(help="With --against: what its arrays are.")] = Framework.numpy,
    layout: Annotated[Layout, typer.Option(help="With --against: rows are tokens, or columns.")] = Layout.rows,
    time_limit: Annotated[float, typer.Option(min=0.1, help="With --against: seconds it may take.")] = 60,
) -> None:
    """Run both editions on random and hard cases and compare what every line assigns.

    Exit status: 0 if all agree, 1 if something disagrees, 2 if it could not run.

    With --against, the function is called with the positional arguments of the library's function of that number
    (`formal-tx list` names it); masks are boolean arrays, true where a token may attend; `params` has the library's
    fields. 6 is called with (e, gamma, beta, epsilon); 11 and 13 end in (…, epochs, eta), 12 in (…, epochs, eta,
    replaced), the boolean masks by epoch and sequence; 14 ends in (…, length, temperature, sample) and 15 in (…,
    temperature, sample), where sample(q) draws a token from q with the check's random numbers.
    """
    chosen = [algorithm(n) for n in numbers] if numbers else list(ALGORITHMS)
    if against is not None and len(chosen) != 1:
        give_up("--against takes one algorithm: formal-tx check N --against FILE:FUNCTION")
    if against is None and (framework is not Framework.numpy or layout is not Layout.rows):
        give_up("--framework and --layout say how to call the function of --against, and there is none")

    comparisons: list[Comparison] = []
    with messages.status("") as status:
        for one in chosen:
            status.update(f"Algorithm {one.number}, {one.name}")
            if against is None:
                comparisons.append(check_both(one, seed=seed, cases=cases, dtype=dtype.value))
                continue
            try:
                found = check_candidate(
                    one,
                    against,
                    seed=seed,
                    cases=cases,
                    dtype=dtype.value,
                    framework=framework.value,
                    layout=layout.value,
                    time_limit=time_limit,
                )
                comparisons.append(found)
            except CannotRun as reason:
                give_up(str(reason))

    agree = all(c.agrees for c in comparisons)
    if json:
        print(report.as_json(comparisons))
    else:
        report.show(output, comparisons)
    raise typer.Exit(0 if agree else 1)
