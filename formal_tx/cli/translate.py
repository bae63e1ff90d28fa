"""`formal-tx translate`: what an encoder-decoder predicts for each line."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .compilation_cache import keep_compilations
from .console import output_json


def translate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A trained encoder-decoder.")],
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Text, a line at a time; - is standard input.")] = Path(
        "-"
    ),
    beam: Annotated[int, typer.Option(min=1, help="Hypotheses of the beam search; 1 is greedy.")] = 4,
    alpha: Annotated[float, typer.Option(min=0, help="Of the length penalty; 0 is none.")] = 0.6,
    batch_size: Annotated[int, typer.Option(min=1, help="Lines that are searched for together.")] = 32,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Translate line by line, in order; lines of like length are searched for together."""
    from ..runs.model_directory import load_model
    from ..runs.translation import translate as all_lines

    keep_compilations()
    lines = _lines(file)
    for source, target in zip(
        lines, all_lines(load_model(directory), lines, beam=beam, alpha=alpha, batch_size=batch_size), strict=True
    ):
        if json:
            output_json({"source": source, "translation": target})
        else:
            print(target)


def _lines(file: Path) -> list[str]:
    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    try:
        return data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text: byte {error.start}") from None
