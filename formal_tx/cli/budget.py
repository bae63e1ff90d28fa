"""`formal-tx budget`: what lower precision loses, line by line and layer by layer."""

from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from .console import algorithm, give_up, messages, output, output_json
from .options import settings

if TYPE_CHECKING:
    from ..crosscheck.budget import Budget, LineError

_LAYERS = 6  # more columns do not fit


class Precision(StrEnum):
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


def budget(
    number: Annotated[str, typer.Argument(metavar="[N]", help="Number or name of an algorithm, 3 to 10.")] = "10",
    dtype: Annotated[Precision, typer.Option(help="The precision to look at.")] = Precision.bfloat16,
    sizes: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A size, such as d_e=512, L=6 or l=256.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of parameters and inputs.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare every line of the library in a precision with double precision.

    For each line: the error that it adds, with its inputs taken from double precision, and the total error, with
    everything before it in this precision too; both relative to the line's largest value, and in units of the roundoff.
    """
    from ..crosscheck.budget import budget as measure

    one = algorithm(number)
    chosen: dict[str, int] = {}
    for name, value in settings(sizes).items():
        if not str(value).isdigit():
            give_up(f"--set {name}={value}: expected a positive integer")
        chosen[name] = int(value)
    with messages.status(one.label):
        found = measure(one, dtype.value, seed=seed, **chosen)
    if json:
        output_json(_as_json(found))
    else:
        sizes_of = ", ".join(f"{name} {size}" for name, size in found.sizes.items())
        title = f"{one.label}, in {found.dtype}, of which the unit roundoff u is "
        output.print(f"{title}{found.unit_roundoff:.1e}", highlight=False, soft_wrap=True)
        output.print(sizes_of, style="dim", highlight=False, soft_wrap=True)
        output.print(_table(found))


def _table(budget: "Budget") -> Table:
    """A row for each line: the worst of its layers, and the total layer by layer."""
    rows: dict[str, list[LineError]] = {}
    for entry in budget.lines:
        rows.setdefault(entry.place, []).append(entry)
    layers = max((entry.layer for entry in budget.lines if entry.layer is not None), default=-1) + 1
    shown = range(layers) if layers <= _LAYERS else [*range(_LAYERS - 1), layers - 1]

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("line", no_wrap=True)
    for heading in ("adds", "/ u", "total", "/ u", *(f"layer {i + 1}" for i in shown)):
        table.add_column(heading, justify="right")
    for place, entries in rows.items():
        adds, total = max(e.adds for e in entries), max(e.total for e in entries)
        by_layer = {e.layer: f"{e.total:.1e}" for e in entries}
        worst = [text for error in (adds, total) for text in (f"{error:.1e}", f"{error / budget.unit_roundoff:.1f}")]
        table.add_row(place, *worst, *(by_layer.get(i, "") for i in shown))
    return table


def _as_json(budget: "Budget") -> dict[str, object]:
    """An error that is no number (a nan, an overflow) is null."""

    def number(error: float) -> float | None:
        return error if isfinite(error) else None

    return {
        "algorithm": budget.algorithm.number,
        "name": budget.algorithm.name,
        "dtype": budget.dtype,
        "unit_roundoff": budget.unit_roundoff,
        "sizes": dict(budget.sizes),
        "lines": [
            {"line": e.place, "layer": e.layer, "adds": number(e.adds), "total": number(e.total)} for e in budget.lines
        ],
    }
