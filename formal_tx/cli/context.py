"""`formal-tx context`: a decoder on a text longer than it is used to, with other ways to attend."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from .compilation_cache import keep_compilations
from .console import messages, output, output_json

if TYPE_CHECKING:
    from ..models.context import Found


def context(
    path: Annotated[Path, typer.Argument(metavar="MODEL", help="A decoder: what `formal-tx run` takes.")],
    data: Annotated[Path, typer.Option(metavar="FILE", help="A text.")],
    method: Annotated[
        list[str] | None,
        typer.Option(help="dense, window, lm_infinite, streaming_llm; once for each. All of them unless given."),
    ] = None,
    length: Annotated[
        int | None, typer.Option(min=2, help="Cut the text into pieces of so many tokens; unless given it is one.")
    ] = None,
    texts: Annotated[int, typer.Option(min=1, help="At most so many pieces.")] = 4,
    window: Annotated[int, typer.Option(min=1, help="How many tokens a token sees, itself included.")] = 256,
    first: Annotated[int, typer.Option(min=0, help="How many of the first tokens it sees beside them.")] = 4,
    out: Annotated[Path | None, typer.Option(metavar="PICTURE", help="Draw it: .png, .svg or .pdf.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure a decoder with another attention or cache: its loss by position, its memory, its time a token."""
    from ..models import load
    from ..models.context import METHODS, Settings, compare, draw, texts_of

    keep_compilations()
    settings = Settings(window, first)
    with messages.status(f"reading {path.name}") as status:
        model = load(path)
        x = texts_of(model, data.read_text("utf-8"), length, texts)
        found = compare(model, x, method or list(METHODS), settings, lambda name: status.update(name))
    if out is not None:
        draw(found, out)
    if json:
        about = {"model": str(path), "data": str(data), "texts": len(x), "length": x.shape[1]}
        output_json(about | {"window": window, "first": first, "methods": {n: _object(f) for n, f in found.items()}})
        return
    output.print(f"{len(x)} × {x.shape[1]} tokens of {data}", markup=False, highlight=False, soft_wrap=True)
    output.print(_table(found))


def _object(found: "Found") -> dict[str, Any]:
    from ..models.context import bands

    ranges = [{"from": a, "to": b, "loss": loss} for a, b, loss in bands(found.losses)]
    memory = {"temporary_bytes": found.temporary, "cache_bytes": found.kept}
    return {"loss": float(found.losses.mean()), "bands": ranges, "seconds_per_token": found.seconds, **memory}


def _table(found: "dict[str, Found]") -> Table:
    from ..models.context import bands

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("loss (nats a token) at positions")
    for name in found:
        table.add_column(name, justify="right")
    by_name = [bands(one.losses) for one in found.values()]
    for ranges in zip(*by_name, strict=True):
        table.add_row(f"{ranges[0][0]:,} to {ranges[0][1] - 1:,}", *(f"{loss:.3f}" for *_, loss in ranges))
    table.add_row("all", *(f"{one.losses.mean():.3f}" for one in found.values()), end_section=True)
    table.add_row("milliseconds a token", *(f"{1e3 * one.seconds:.2f}" for one in found.values()))
    table.add_row("MB beside the parameters", *(f"{one.temporary / 1e6:,.0f}" for one in found.values()))
    table.add_row("MB of keys and values to go on with", *(f"{one.kept / 1e6:,.1f}" for one in found.values()))
    return table
