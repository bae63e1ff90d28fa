"""`formal-tx compare`: a Hugging Face model against the library, line by line."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from .console import give_up, messages, output, output_json


class Precision(StrEnum):
    float64 = "float64"
    float32 = "float32"


def compare(
    source: Annotated[str, typer.Argument(metavar="FILE:FUNCTION", help="A function that returns the model.")],
    dtype: Annotated[Precision, typer.Option(help="The precision in which both run.")] = Precision.float64,
    tolerance: Annotated[
        float | None, typer.Option(min=0, help="Relative to a line's largest value; that of the dtype unless given.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the ids, where FUNCTION gives none.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find the first line in which a Hugging Face GPT-2 or BERT differs from the library, and what explains it.

    FUNCTION takes no arguments. It returns the model, or a dictionary: the `model`, the `ids`, the `reference` from
    which the library's parameters are taken (another model, or parameters and hyperparameters) unless they are the
    model's own, and whatever else the model is to be called with.

    Exit status: 0 if no line differs, 1 if one does, 2 if it could not run.
    """
    from ..crosscheck.capture import compare as held_against
    from ..crosscheck.capture import report

    arguments = _made_by(source)
    for name in ("model", "reference"):
        if hasattr(arguments.get(name), "config"):
            model = arguments[name].eval()
            arguments[name] = model.double() if dtype is Precision.float64 else model.float()
    try:
        with messages.status(source):
            found = held_against(**{"tolerance": tolerance, "seed": seed} | arguments)
    except (TypeError, ValueError) as error:
        give_up(f"{source}: {error}")
    if json:
        output_json(report.as_object(found))
    else:
        report.show(output, found)
    raise typer.Exit(0 if found.agrees else 1)


def _made_by(source: str) -> dict[str, Any]:
    """What the function returns, as arguments of the comparison."""
    from ..crosscheck.worker import load

    file, _, function = source.rpartition(":")
    if not file or not function.isidentifier():
        give_up(f"{source}: expected path/to/file.py:function")
    if not Path(file).is_file():
        give_up(f"{source}: there is no file {file}")
    try:
        made = load(Path(file).resolve(), function)()
    except ImportError as error:
        if error.name in ("torch", "transformers"):
            give_up(f"{source} needs {error.name}, which is not installed: pip install 'formal-tx[oracles]'")
        give_up(f"{source} cannot be imported: {error}")
    if not isinstance(made, dict):
        return {"model": made}
    if "model" not in made:
        give_up(
            f"{source} returned a dictionary with {', '.join(map(repr, made)) or 'nothing'}, expected 'model' in it"
        )
    return dict(made)
