"""Makes the page: runs everything, and puts it into the templates."""

import json
import math
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from .. import __version__
from ..crosscheck import ALGORITHMS, Algorithm, Comparison
from ..crosscheck import check as check_both
from ..crosscheck.report import ITERATION
from ..crosscheck.source import library_lines
from ..crosscheck.systems import SYSTEMS, System
from ..runs.files import write_whole
from ..runs.model_directory import Model
from . import editions, sizes
from .demo_model import demo_model, given_model, packed
from .mistakes import mistakes
from .printed import printed
from .runs import Run, run, to_look_at
from .shapes import LIMITS, axes, shapes
from .shapes import sizes as sizes_of
from .values import shown

PAGE = "index.html"
_SCRIPTS = ("elements", "heat", "line", "run", "shapes", "decoder", "model", "page")
_TEXT = "In the beginning God created the heav"


def write_book(
    directory: str | Path, model: str | Path | None = None, *, tell: Callable[[str], None] = lambda what: None
) -> Path:
    """Write the book to `directory`/index.html, which is made if it does not exist.

    Args:
      model: the directory of a trained decoder of characters; unless given, one is trained, a minute or so.
      tell: is called with what is done next, in words.
    Returns:
      The path of the page.
    Raises:
      OSError: it cannot be written, or the model cannot be read.
      ValueError, TypeError: the model is none for the page; says why.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    trained = given_model(model) if model is not None else demo_model(tell)
    write_whole(directory / PAGE, page(model=trained, systems=SYSTEMS, tell=tell).encode())
    return directory / PAGE


def page(
    algorithms: Iterable[Algorithm] = ALGORITHMS,
    model: Model | None = None,
    *,
    systems: Iterable[System] = (),
    tell: Callable[[str], None] = lambda what: None,
) -> str:
    """The page's text, with a trained model if there is one, and with these systems of the reading list.

    The same input gives the same bytes, on one machine.
    """
    algorithms = tuple(algorithms)
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    entries, checks = [], {}
    for algorithm in algorithms:
        tell(algorithm.label)
        checks[algorithm] = check_both(algorithm)
        entries.append(_entry(algorithm, algorithms, checks[algorithm]))
    return environment.get_template(PAGE).render(
        algorithms=entries,
        systems=[_system(system, tell) for system in systems],
        totals=_totals(checks),
        version=__version__,
        model=None if model is None else _model(model),
        style=Markup(_static("book.css")),
        script=Markup('"use strict";\n' + "\n".join(_static(f"{name}.js") for name in _SCRIPTS)),
    )


def _static(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")


def embedded(data: Any) -> Markup:
    """Data as JSON for a script element: nothing in it can end the element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _entry(algorithm: Algorithm, algorithms: tuple[Algorithm, ...], check: Comparison) -> dict[str, Any]:
    """What the template of one algorithm needs."""
    words, made = printed()[algorithm.number], run(algorithm, to_look_at(algorithm))
    default = sizes_of(made)
    return {
        "number": algorithm.number,
        "title": words.title,
        "head": Markup(words.head),
        "does": Markup(words.does),
        "facts": [(word, Markup(fact)) for word, fact in words.facts],
        "calls": editions.calls(algorithm, algorithms),
        "places": editions.places(algorithm),
        "rows": [_row(row, check) for row in editions.rows(algorithm)],
        "axes": [{"name": name, "html": sizes.axis(name), "size": default[name]} for name in axes(algorithm)],
        "shapes": [sizes.row(shape, default) for shape in shapes(algorithm)],
        "data": embedded(data(made, check)),
    }


def _system(system: System, tell: Callable[[str], None]) -> dict[str, Any]:
    """What the template of a system needs."""
    tell(system.name)
    return {
        "name": system.name,
        "title": system.title,
        "papers": ", ".join(system.papers),
        "checks": [_check(one) for one in system.checks],
    }


def _check(one: Algorithm) -> dict[str, Any]:
    """A part of a system: its lines in both editions, how far they are apart, and the mistakes in them."""
    worst = check_both(one, cases=1).worst_of  # there are many, and hard cases are in each
    paper, library = editions.paper_lines(one), library_lines(one)
    return {
        "name": one.name,
        "purpose": one.purpose,
        "places": editions.places(one),
        "rows": [
            {
                "number": number,
                "paper": Markup(editions.coloured(paper.get(number, ""))),
                "library": Markup(editions.coloured(library.get(number, ""))),
                "error": _said(worst[number].error) if number in worst else "",
            }
            for number in dict.fromkeys(s.number for s in one.listing.statements)
        ],
        "mistakes": [known | {"line": line} for line, some in mistakes(one).items() for known in some],
    }


def _model(model: Model) -> dict[str, Any]:
    """What the template of the trained model needs."""
    data = packed(model)
    known = "".join(c for c in _TEXT if c in data["characters"])
    return {
        "sizes": data["sizes"],
        "parameters": f"{sum(math.prod(array['shape']) for array in data['arrays']):,}",
        "about": model.configuration["about"],
        "text": known[: data["sizes"]["l_max"]],
        "data": embedded(data),
    }


def _row(row: editions.Row, check: Comparison) -> dict[str, Any]:
    difference = check.worst_of.get(row.line.number)
    return {
        "number": row.line.number,
        "printed": Markup(row.line.html),
        "depth": row.line.depth,
        "comment": row.line.comment,
        "paper": Markup(editions.coloured(row.paper)),
        "library": Markup(editions.coloured(row.library)),
        "error": "" if difference is None else _said(difference.error),
    }


def _said(error: float) -> str:
    return f"{error:.1e}" if error else "0"


def data(made: Run, check: Comparison) -> dict[str, Any]:
    """What the page's script needs of an algorithm: its run, its shapes, its mistakes, and what the check says."""
    known = shapes(made.algorithm)
    by_name = {row["name"]: row["dims"] for row in known if not row["lines"]}
    return {
        "arguments": [
            {"name": name, "parts": shown(name, value), "dims": by_name.get(name, [])}
            for name, value in made.arguments.items()
        ],
        "steps": _steps(made, {(n, row["name"]): row["dims"] for row in known for n in row["lines"]}),
        "shapes": [{"dims": row["dims"], "times": row["times"]} for row in known],
        "limits": LIMITS.get(made.algorithm.number, ()),
        "mistakes": mistakes(made.algorithm),
        "cases": check.cases,
        "checks": {
            n: {"error": d.error, "text": _said(d.error), "allowed": f"{d.allowed:.0e}"}
            for n, d in sorted(check.worst_of.items())
        },
    }


def _steps(made: Run, dims: dict[tuple[int, str], list[str]]) -> list[dict[str, Any]]:
    """Every assignment: its line, its variable, how often the line had run, and what was assigned."""
    numbers = [step.number for step in made.steps]
    steps = []
    for i, step in enumerate(made.steps):
        times, n = numbers.count(step.number), numbers[: i + 1].count(step.number)
        word = ITERATION.get(made.algorithm.number, "pass")
        steps.append(
            {
                "line": step.number,
                "variable": step.variable,
                "round": f"{word} {n} of {times}" if times > 1 else "",
                "dims": dims.get((step.number, step.variable), []),
                "parts": shown(step.variable, step.value),
            }
        )
    return steps


def _totals(checks: dict[Algorithm, Comparison]) -> dict[str, Any]:
    """The numbers of the page's first paragraph."""
    exact = [d.error for a, c in checks.items() if not a.trains for d in c.worst_of.values()]
    return {
        "cases": sum(check.cases for check in checks.values()),
        "lines": sum(len(check.worst_of) for check in checks.values()),
        "worst": _said(max(exact, default=0.0)),
        "mistakes": sum(len(m) for a in checks for m in mistakes(a).values()),
    }
