"""`formal-tx list`: the algorithms, what they do, and where both editions live."""

from rich.text import Text

from ..crosscheck import ALGORITHMS
from ..crosscheck.source import library_place
from .console import output


def list_algorithms() -> None:
    """The algorithms, what they do, and where both editions live."""
    for algorithm in ALGORITHMS:
        title = Text(f"{algorithm.number:2}  ").append(algorithm.name, style="bold").append(f": {algorithm.purpose}")
        output.print(title, soft_wrap=True)
        places = f"    algorithms/{algorithm.file}.py, {library_place(algorithm)}"
        output.print(Text(places, style="dim"), soft_wrap=True)
