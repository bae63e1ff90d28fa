"""The command line: `formal-tx COMMAND`, one file a command."""

import os
import sys

import typer

from .book import book
from .budget import budget
from .check import check
from .compare import compare
from .context import context
from .demo import demo
from .describe import describe
from .evaluate import evaluate
from .fill import fill
from .generate import generate
from .huge_pages import begin_again_with_huge_pages
from .info import info
from .laws import laws
from .list import list_algorithms
from .mistakes import mistakes
from .plot import plot
from .run import run
from .show import show
from .train import train
from .translate import translate
from .vectors import vectors

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Formal Algorithms for Transformers, executable: the paper's pseudocode and its JAX edition, compared.",
)
app.command("list")(list_algorithms)
app.command("show")(show)
app.command("check")(check)
app.command("mistakes")(mistakes)
app.command("laws")(laws)
app.command("compare")(compare)
app.command("book")(book)
app.command("budget")(budget)
app.command("vectors")(vectors)
app.command("demo")(demo)
for command in (run, describe, context, train, generate, translate, fill, evaluate, info, plot):
    app.command()(command)


def main() -> None:
    """Run a command. Whatever goes wrong is one sentence and exit status 2; FORMAL_TX_TRACEBACK=1 shows where."""
    if sys.argv[1:2] == ["train"]:
        begin_again_with_huge_pages()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("FORMAL_TX_TRACEBACK"):
            raise
        print(f"formal-tx: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
