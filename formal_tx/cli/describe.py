"""`formal-tx describe`: what a published model is, in the terms of the paper."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from .console import output, output_json

if TYPE_CHECKING:
    from ..models.describe import Description

_NAMES = {8: "the encoder-decoder", 9: "the encoder-only transformer", 10: "the decoder-only transformer"}


def describe(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="What `formal-tx run` takes, or a published name, such as gpt2-xl.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say which algorithm a model is, what its lines cost, and how it differs from the print. Reads no weights."""
    from ..models.describe import describe as described

    found = described(path)
    if json:
        output_json(found.as_json())
        return
    family = f" ({found.family})" if found.family not in ("", found.name) else ""
    _say(f"{found.name}{family}: Algorithm {found.algorithm}, {_NAMES[found.algorithm]}")
    _say(", ".join(f"{name} = {value:g}" for name, value in found.letters.items()))
    output.print(_lines(found))
    for sentence in _costs(found.as_json()):
        _say(sentence)
    _say("Differences from the printed algorithm:" if found.differences else "It is the algorithm as printed.")
    for difference in found.differences:
        _say(f"  · {difference}")


def _say(text: str) -> None:
    output.print(text, markup=False, highlight=False, soft_wrap=True)


def _lines(found: "Description") -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("line", "", "parameters", "share", "FLOPs a token", "and a token seen"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for cost in found.lines:
        numbers = (cost.flops, cost.flops_per_seen)
        share = f"{cost.parameters / found.parameters:.1%}"
        table.add_row(
            str(cost.line), cost.does, f"{cost.parameters:,}", share, *(f"{n:,}" if n else "" for n in numbers)
        )
    table.add_row("", "together", f"{found.parameters:,}", "", "", "", style="bold")
    return table


def _costs(described: dict[str, Any]) -> list[str]:
    """Memory and FLOPs as sentences."""
    sizes = described["bytes"]
    stored = ", ".join(f"{_size(n)} of {kind}" for kind, n in sizes["stored"].items())
    in_file = f"; the file has {stored}" if stored else ""
    said = [f"Parameters take {_size(sizes['parameters_float32'])} in float32{in_file}."]
    if sizes["cache_per_token_float32"]:
        said.append(f"The key/value cache takes {_size(sizes['cache_per_token_float32'])} in float32 for each token.")
    return said + [_flops(of, flops) for of, flops in described["flops_per_token"].items()]


def _flops(of: str, flops: dict[str, int]) -> str:
    names = {"x": "token", "z": "token of the context"}
    seen = [(flops[f"per_{s}"], name) for s, name in names.items() if flops[f"per_{s}"]]
    more = "".join(f", and {n:,} for each {name} that it attends to" for n, name in seen)
    return f"A {names[of]} takes {flops['fixed']:,} FLOPs{more}."


def _size(n: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} bytes"
