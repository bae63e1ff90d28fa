"""`formal-tx evaluate`: how good a model is on text that it has not seen."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import messages, output, output_json
from .options import files_after_data
from .train import Format


def evaluate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A trained model.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="More files, as after --data.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Text or pairs to measure on. Default: test books of the corpus."),
    ] = None,
    format: Annotated[Format | None, typer.Option(help="Of --data; default: by the name of the file.")] = None,
    baselines: Annotated[bool, typer.Option("--baselines", help="Measure simple rivals on the same text.")] = False,
    beam: Annotated[int, typer.Option(min=1, help="Of the translations that are judged.")] = 4,
    limit: Annotated[int | None, typer.Option(min=1, help="Judge only the first so many translations.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure loss, perplexity and bits per character and byte; guessed words; BLEU and chrF of translations."""
    from ..runs.evaluation import evaluate as measure
    from ..runs.model_directory import load_model
    from ..runs.sources import Sources

    sources = Sources(files_after_data(data, more, "measure"), format=format and format.value)
    model = load_model(directory)
    with messages.status("") as status:
        measured = measure(
            model, sources, baselines=baselines, beam=beam, limit=limit, progress=lambda message: status.update(message)
        )
    if json:
        output_json({"directory": str(directory), **measured})
    else:
        show(measured)


def show(measured: dict[str, Any], indent: str = "") -> None:
    """Names and values, a line each."""
    for name, value in measured.items():
        if isinstance(value, dict):
            output.print(f"{indent}{name}", highlight=False, markup=False)
            show(value, indent + "    ")
        else:
            output.print(f"{indent}{name:<20} {_spelled(value)}", highlight=False, markup=False, soft_wrap=True)


def _spelled(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
