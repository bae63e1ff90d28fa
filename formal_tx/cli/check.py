"""`formal-tx check`: runs both editions and says, line by line, whether they agree."""

import json as json_format
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..crosscheck import ALGORITHMS, Algorithm, Comparison, find, report
from ..crosscheck import check as check_both
from ..crosscheck.calling import CannotRun, FromFile
from ..crosscheck.catalog import Variation
from .console import give_up, messages, output

if TYPE_CHECKING:  # imported where they are needed: every command waits for what is imported here
    from ..crosscheck.laws import Finding
    from ..diagnosis import Diagnosis


class DType(StrEnum):
    float64 = "float64"
    float32 = "float32"
    float16 = "float16"
    bfloat16 = "bfloat16"


class Framework(StrEnum):
    numpy = "numpy"
    jax = "jax"
    torch = "torch"


class Layout(StrEnum):
    rows = "rows"
    columns = "columns"


def check(
    numbers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[N]...",
            help="Numbers or names of algorithms, of variations or of systems (`variations` and `systems` are all of "
            "them); all algorithms unless given.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random cases.")] = 0,
    cases: Annotated[int, typer.Option(min=1, help="How many random cases of each kind.")] = 3,
    dtype: Annotated[
        DType, typer.Option(help="Precision of the library (float64, float32) or of --against.")
    ] = DType.float64,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    against: Annotated[
        str | None, typer.Option(metavar="FILE:FUNCTION", help="Check this function instead of the library's.")
    ] = None,
    framework: Annotated[Framework, typer.Option(help="With --against: what its arrays are.")] = Framework.numpy,
    layout: Annotated[Layout, typer.Option(help="With --against: rows are tokens, or columns.")] = Layout.rows,
    time_limit: Annotated[float, typer.Option(min=0.1, help="With --against: seconds it may take.")] = 60,
    diagnose: Annotated[
        bool, typer.Option(help="With --against: where it disagrees, find out which mistake was made.")
    ] = True,
) -> None:
    """Run both editions on random and hard cases and compare what every line assigns.

    `variations` are what models have changed since: `parts` of them, such as rotary, and `models` made of these, such
    as llama. `systems` are those of the reading list, such as streaming_llm.

    Exit status: 0 if all agree, 1 if something disagrees, 2 if it could not run.

    With --against, the function is called with the positional arguments of the library's function of that number
    (`formal-tx list` names it); masks are boolean arrays, true where a token may attend; `params` has the library's
    fields. 6 is called with (e, gamma, beta, epsilon); 11 and 13 end in (…, epochs, eta), 12 in (…, epochs, eta,
    replaced), the boolean masks by epoch and sequence; 14 ends in (…, length, temperature, sample) and 15 in (…,
    temperature, sample), where sample(q) draws a token from q with the check's random numbers. If it returns a
    dictionary of named values, or tags its lines with `line`, they are compared too. Where it disagrees, the known
    mistakes (`formal-tx mistakes`), and then pairs of them, are tried until one gives the same numbers. If none does,
    the laws (`formal-tx laws`) say what it keeps. `formal-tx show NAME` says with what a variation's or a system's
    function is called.
    """
    chosen = [one for name in numbers for one in _named(name)] if numbers else list(ALGORITHMS)
    varies = any(isinstance(one, Variation) for one in chosen)
    if against is not None and varies and layout is not Layout.rows:
        give_up("--layout columns is for the algorithms of the paper, 1 to 15; what they vary in has rows")
    if against is not None and len(chosen) != 1:
        give_up("--against takes one algorithm: formal-tx check N --against FILE:FUNCTION")
    if against is None and (framework is not Framework.numpy or layout is not Layout.rows):
        give_up("--framework and --layout say how to call the function of --against, and there is none")

    if against is None and dtype not in (DType.float64, DType.float32):
        give_up(f"the library is checked in float64 and float32; formal-tx budget shows what {dtype.value} loses")

    comparisons: list[Comparison] = []
    found_out: Diagnosis | None = None
    laws: list[Finding] = []
    with messages.status("") as status:
        for one in chosen:
            status.update(one.label)
            if against is None:
                comparisons.append(check_both(one, seed=seed, cases=cases, dtype=dtype.value))
                continue
            from ..diagnosis import judge

            try:
                comparison, found_out = judge(
                    one,
                    FromFile(against, framework.value, dtype.value, time_limit),
                    seed=seed,
                    cases=cases,
                    dtype=dtype.value,
                    layout=layout.value,
                    diagnosed=diagnose,
                )
            except CannotRun as reason:
                give_up(str(reason))
            comparisons.append(comparison)
            unknown = found_out is not None and not comparison.agrees and not found_out.explained
            if unknown and layout is Layout.rows and not varies:
                status.update(f"{one.label}: which laws it keeps")
                laws = _laws(one, against, framework, dtype)

    if json:
        print(json_format.dumps(_as_object(comparisons, found_out, laws), ensure_ascii=False))
    else:
        report.show(output, comparisons)
        if found_out is not None and not comparisons[0].agrees:
            from ..diagnosis.report import panel

            output.print(panel(found_out))
        if laws:
            from ..crosscheck.laws.report import show as show_laws

            output.print(f"The laws of {comparisons[0].algorithm.name} that it keeps, and those that it breaks:")
            show_laws(output, [law for law in laws if law.outcome in ("holds", "violated")])
    raise typer.Exit(0 if all(c.agrees for c in comparisons) else 1)


def _named(name: str) -> list[Algorithm]:
    """The algorithm, or the variations, that a user named; gives up if there are none."""
    from ..crosscheck.systems import CHECKS
    from ..crosscheck.variations import MODELS, PARTS, VARIATIONS

    groups = {"variations": VARIATIONS, "parts": PARTS, "models": MODELS, "systems": CHECKS}
    try:
        return list(groups[name]) if name in groups else [find(name, also=(*VARIATIONS, *CHECKS))]
    except KeyError as error:
        give_up(str(error.args[0]))


def _laws(algorithm: Algorithm, against: str, framework: Framework, dtype: DType) -> "list[Finding]":
    """What the laws say; nothing of a function that is no model, since it returns a dictionary, say."""
    from ..crosscheck.laws.process import run_file

    try:
        return run_file(against, kind=algorithm.number, framework=framework.value, dtype=dtype.value)
    except CannotRun as reason:
        messages.print(f"The laws cannot be tried: {reason}", style="dim", highlight=False)
        return []


def _as_object(comparisons: list[Comparison], diagnosis: "Diagnosis | None", laws: "list[Finding]") -> dict[str, Any]:
    found = report.as_object(comparisons)
    if diagnosis is not None:
        from ..diagnosis.report import as_list

        found["diagnosis"] = as_list(diagnosis)
    if laws:
        found["laws"] = {law.law: law.outcome for law in laws if law.outcome in ("holds", "violated")}
    return found
