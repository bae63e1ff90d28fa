"""`formal-tx list`: the algorithms, what they do, and where both editions live."""

from rich.table import Table

from ..crosscheck import ALGORITHMS
from ..crosscheck.source import library_place
from .console import output


def list_algorithms() -> None:
    """The algorithms, what they do, and where both editions live."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", justify="right")
    for title in ("Algorithm", "what it does", "the paper, executable", "the library"):
        table.add_column(title, overflow="fold")
    for algorithm in ALGORITHMS:
        table.add_row(
            str(algorithm.number),
            algorithm.name,
            algorithm.purpose,
            f"algorithms/{algorithm.file}.py",
            library_place(algorithm),
        )
    output.print(table)
