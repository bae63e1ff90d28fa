"""Where the commands print: results to standard output, everything else to standard error."""

import json
from collections.abc import Iterable
from typing import Any, NoReturn

import typer
from rich.console import Console

from ..crosscheck import Algorithm, find

output = Console()
messages = Console(stderr=True)


def output_json(value: Any) -> None:
    """Print one JSON object, and nothing else, to standard output."""
    print(json.dumps(value, ensure_ascii=False))


def give_up(message: str) -> NoReturn:
    """Say what is wrong and leave with exit status 2."""
    messages.print(f"formal-tx: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)


def algorithm(number: str, also: Iterable[Algorithm] = ()) -> Algorithm:
    """The algorithm, or one of `also`, that a user named by number or by name; gives up if there is none."""
    try:
        return find(number, also=also)
    except KeyError as error:
        give_up(str(error.args[0]))
