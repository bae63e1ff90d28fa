"""`formal-tx fill`: which words may stand in the blanks of a text."""

from pathlib import Path
from typing import Annotated

import typer

from .compilation_cache import keep_compilations
from .console import output, output_json


def fill(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A trained encoder.")],
    text: Annotated[str, typer.Argument(help="Text with blanks, written ____ or <mask>; each stands for one token.")],
    top: Annotated[int, typer.Option(min=1, help="How many words for each blank.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Guess the masked words of a text, by Algorithm 9, with their probabilities."""
    from ..runs.filling import fill as guesses
    from ..runs.model_directory import load_model

    keep_compilations()
    found = guesses(load_model(directory), text, top=top)
    if json:
        output_json({"text": text, "blanks": [[guess._asdict() for guess in blank] for blank in found]})
        return
    for number, blank in enumerate(found, start=1):
        said = "  ".join(f"{guess.text} {guess.probability:.1%}" for guess in blank)
        output.print(f"{number}. {said}", markup=False, highlight=False, soft_wrap=True)
