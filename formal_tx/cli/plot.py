"""`formal-tx plot`: the curves of a training run as a picture."""

from pathlib import Path
from typing import Annotated

import typer

from .console import output


def plot(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A training run.")],
    out: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Where the picture goes [default: DIR/loss.png].")
    ] = None,
) -> None:
    """Draw loss, held-out loss and learning rate over the steps, as a PNG."""
    from ..runs.plotting import plot as draw

    output.print(str(draw(directory, out or directory / "loss.png")), highlight=False, markup=False, soft_wrap=True)
