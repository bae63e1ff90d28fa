"""`formal-tx book`: the executable edition as one web page."""

from pathlib import Path
from typing import Annotated

import typer

from .console import messages, output


def book(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where index.html goes.")] = Path("book"),
    model: Annotated[
        Path | None, typer.Option(metavar="MODEL_DIR", help="A trained decoder of characters; default: trains one.")
    ] = None,
) -> None:
    """Make the executable edition as one web page that needs no network: DIR/index.html.

    Every number in it comes from running the code now, which takes two or three minutes.
    """
    from ..book import write_book

    with messages.status("") as status:
        path = write_book(out, model, tell=status.update)
    output.print(f"{path}: {path.stat().st_size / 2**20:.1f} MB", highlight=False, markup=False, soft_wrap=True)
