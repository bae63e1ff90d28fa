"""Where the executable pseudocode lives, and what its source says: which statement is which line of the paper."""

import ast
import importlib.util
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

PACKAGE = "formal_tx.algorithms"
_NUMBERS = re.compile(r"#\s*(\d+(?:,\s*\d+)*)\s*$")


@cache
def folder() -> Path:
    """The folder of the executable pseudocode: inside the installed package, or at the top of a checkout.

    Raises:
      FileNotFoundError: if it is at neither place.
    """
    package = Path(__file__).resolve().parent.parent
    for place in (package / "algorithms", package.parent / "algorithms"):
        if (place / "algorithm_01_token_embedding.py").is_file():
            return place
    raise FileNotFoundError(f"the executable pseudocode is neither at {package / 'algorithms'} nor beside {package}")


@cache
def module(name: str = "") -> ModuleType:
    """A module of the pseudocode, `algorithm_04_attention` or `decoding/filters` say, or the whole package."""
    if PACKAGE not in sys.modules:
        place = folder()
        specification = importlib.util.spec_from_file_location(
            PACKAGE, place / "__init__.py", submodule_search_locations=[str(place)]
        )
        assert specification is not None  # a path that exists has a specification and a loader
        assert specification.loader is not None
        package = importlib.util.module_from_spec(specification)
        sys.modules[PACKAGE] = package
        specification.loader.exec_module(package)
    return importlib.import_module(f"{PACKAGE}.{name.replace('/', '.')}" if name else PACKAGE)


@dataclass(frozen=True)
class Statement:
    """A numbered statement of the pseudocode.

    Attributes:
      number: the paper's line.
      variable: what it assigns, or None.
      first, last: its lines in the file.
      loop: the lines of the loop that fills `variable` entry by entry; empty for a plain assignment.
    """

    number: int
    variable: str | None
    first: int
    last: int
    loop: range = range(0)

    def holds(self, line: int) -> bool:
        """Whether the statement is not done while the file's line `line` runs."""
        return self.first <= line <= self.last or line in self.loop


@dataclass(frozen=True)
class Listing:
    """The source of one algorithm and its numbered statements."""

    path: Path
    source: tuple[str, ...]
    statements: tuple[Statement, ...]

    @property
    def assigned(self) -> tuple[Statement, ...]:
        """The statements that give a variable its value: what there is to compare."""
        return tuple(s for s in self.statements if s.variable is not None)

    def text(self, number: int) -> str:
        """The source of line `number` of the paper, without its number."""
        found = [s for s in self.statements if s.number == number]
        lines = [_NUMBERS.sub("", line).rstrip() for s in found for line in self.source[s.first - 1 : s.last]]
        return "\n".join(line.strip() for line in lines)


@cache
def listing(name: str, function: str) -> Listing:
    """Read the file of an algorithm: `listing("algorithm_04_attention", "attention")`."""
    path = folder() / f"{name}.py"
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    definition = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    lines = tuple(source.splitlines())
    statements = tuple(_statements(definition.body, lines, None))
    return Listing(path, lines, statements)


def _statements(body: list[ast.stmt], lines: tuple[str, ...], loop: ast.For | None):
    for node in body:
        assert node.end_lineno is not None
        if isinstance(node, ast.For | ast.While):
            if number := _number(lines[node.lineno - 1]):
                yield Statement(number, None, node.lineno, node.lineno)
            yield from _statements(node.body, lines, node if isinstance(node, ast.For) else None)
        elif isinstance(node, ast.If | ast.With):
            yield from _statements([*node.body, *getattr(node, "orelse", [])], lines, loop)
        elif number := _number(lines[node.end_lineno - 1]):
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            filled = range(0)
            if isinstance(target, ast.Subscript) and loop is not None:
                target, filled = target.value, range(loop.lineno, (loop.end_lineno or loop.lineno) + 1)
            variable = target.id if isinstance(target, ast.Name) else None
            yield Statement(number, variable, node.lineno, node.end_lineno, filled)


def _number(line: str) -> int | None:
    match = _NUMBERS.search(line)
    return int(match.group(1).split(",")[0]) if match else None
