"""The library's source, statement by statement: which one is tagged with which line of the paper."""

import ast
import importlib
import inspect
import textwrap
from functools import cache
from operator import attrgetter
from pathlib import Path

from .catalog import Algorithm


@cache
def library_lines(algorithm: Algorithm) -> dict[int, str]:
    """For each line of the paper, the statements of the library that are tagged with its number.

    A statement without a tag that prepares the next one belongs to it.
    """
    found: dict[int, list[str]] = {}
    for place in algorithm.sources:
        module, _, name = place.rpartition(":")
        function = inspect.unwrap(attrgetter(name)(importlib.import_module(module or algorithm.module)))
        source = textwrap.dedent(inspect.getsource(function))
        before = None
        for statement in _statements(ast.parse(source)):
            numbers = _tagged(statement)
            text = _text(source, statement)
            if numbers and before is not None and _assigned(before) & _used(statement):
                text = f"{_text(source, before)}\n{text}"
            for number in numbers:
                found.setdefault(number, []).append(text)
            before = None if numbers else statement
    return {number: "\n".join(dict.fromkeys(texts)) for number, texts in found.items()}


def library_place(algorithm: Algorithm) -> str:
    """Where the library's function is: `formal_tx/attention.py:90`; its file, if it is a part of a larger one."""
    module = importlib.import_module(algorithm.module)
    path = Path(inspect.getfile(module))
    where = f"{path.parent.name}/{path.name}"
    if not hasattr(module, algorithm.name):
        return where
    function = inspect.unwrap(algorithm.library)
    return f"{where}:{function.__code__.co_firstlineno}" if inspect.isfunction(function) else where


def _statements(node: ast.AST):
    """The simple statements inside a definition, in order."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Assign | ast.Return | ast.Expr):
            yield child
        else:
            yield from _statements(child)


def _tagged(statement: ast.AST) -> list[int]:
    """The numbers n of the calls `line(n, …)` in a statement."""
    return [
        node.args[0].value
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "line"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, int)
    ]


def _assigned(statement: ast.stmt) -> set[str]:
    """The names that a statement assigns."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


def _used(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _text(source: str, statement: ast.stmt) -> str:
    assert statement.end_lineno is not None
    lines = source.splitlines()[statement.lineno - 1 : statement.end_lineno]
    return textwrap.dedent("\n".join(lines))
