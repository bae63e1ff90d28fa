"""`formal-tx show 5`: the pseudocode and the JAX edition side by side, lines aligned by number."""

from typing import Annotated

import numpy as np
import typer
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from ..crosscheck.catalog import Variation
from ..crosscheck.source import library_lines, library_place
from .console import algorithm, output


def show(number: Annotated[str, typer.Argument(help="Number or name of an algorithm, or of a variation.")]) -> None:
    """The pseudocode and the JAX edition side by side, lines aligned by number."""
    from ..crosscheck.systems import CHECKS
    from ..crosscheck.variations import VARIATIONS

    found = algorithm(number, also=(*VARIATIONS, *CHECKS))
    docstring = found.listing.source
    end = next(i for i, line in enumerate(docstring) if i > 0 and line.rstrip().endswith('"""'))
    output.print(Text("\n".join(docstring[: end + 1]).strip('"') + "\n"))

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", expand=True)
    table.add_column("", justify="right", style="dim")
    table.add_column(f"algorithms/{found.file}.py", ratio=1)
    table.add_column(library_place(found), ratio=1)
    library = library_lines(found)
    for line in dict.fromkeys(s.number for s in found.listing.statements):
        table.add_row(str(line), _code(found.listing.text(line)), _code(library.get(line, "")))
    output.print(table)
    if isinstance(found, Variation):
        output.print(Text(f"\nformal-tx check {found.name} --against FILE:FUNCTION calls it with {_call(found)}"))


def _call(variation: Variation) -> str:
    """The arguments of a case, with the shapes of arrays."""
    case = next(iter(variation.draw(np.random.default_rng(0), 1)))
    return ", ".join(
        f"{name} {np.shape(a) or ''}".strip() if isinstance(a, np.ndarray) else name
        for name, a in case.arguments.items()
    )


def _code(text: str) -> Syntax:
    return Syntax(text, "python", background_color="default", word_wrap=True)
