"""A program: an algorithm of the pseudocode and all the algorithms that it calls, as syntax trees that can be edited.

Every node of the trees carries marks. An edit names the nodes that it replaces by their marks, so that several edits of
one tree can be made one after the other, also where one lies inside the other.
"""

import ast
import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from textwrap import dedent
from types import CodeType
from typing import Any

from ..crosscheck import pseudocode
from ..crosscheck.catalog import Algorithm
from . import patterns, wrong


class Incompatible(Exception):
    """Two edits cannot both be made: the first has taken away what the second would change."""


@dataclass(frozen=True)
class Edit:
    """The replacement of one expression, or of statements that follow each other.

    Attributes:
      function: in which function of the program.
      marks: of the node, or of the statements, that it replaces.
      replacement: the text that takes their place; empty to delete statements.
      bound: what the underscored names of the replacement stand for, by their marks.
      node: whether it replaces an expression.
    """

    function: str
    marks: tuple[int, ...]
    replacement: str
    bound: tuple[tuple[str, int], ...]
    node: bool


@dataclass(frozen=True, eq=False)
class Function:
    """One function of a program: its name, the file from which it comes, its tree, its numbered lines."""

    name: str
    file: str
    tree: ast.FunctionDef
    listing: pseudocode.Listing

    def node(self, mark: int) -> ast.AST:
        """The node that carries a mark."""
        return _find(self.tree, mark)

    def number(self, node: ast.AST) -> int:
        """The paper's line in which a node stands; an unnumbered statement belongs to the next numbered one."""
        first = getattr(node, "lineno", 0)
        return next((s.number for s in self.listing.statements if s.last >= first), self.listing.statements[-1].number)


@dataclass(frozen=True, eq=False)
class Program:
    """The functions of an algorithm, those that are called before those that call them."""

    main: str
    functions: Mapping[str, Function]
    _codes: dict[tuple[str, tuple[Edit, ...]], CodeType] = field(default_factory=dict, repr=False)
    _spans: dict[tuple[Edit, ...], frozenset[int]] = field(default_factory=dict, repr=False)

    def function(self, edits: Iterable[Edit] = ()) -> Callable[..., Any]:
        """The algorithm as a function, after `edits`.

        Raises:
          Incompatible: if they cannot all be made.
        """
        by_function = _by_function(edits)
        namespace: dict[str, Any] = dict(wrong.NAMES)
        for function in self.functions.values():
            namespace |= vars(pseudocode.module(function.file))
        namespace |= vars(pseudocode.module("notation"))
        for name in self.functions:
            exec(self._code(name, by_function.get(name, ())), namespace)
        return namespace[self.main]

    def _code(self, name: str, edits: tuple[Edit, ...]) -> CodeType:
        key = (name, edits)
        if key not in self._codes:
            tree = ast.Module([self.edited(name, edits)], type_ignores=[])
            self._codes[key] = compile(ast.fix_missing_locations(tree), f"<{name}>", "exec")
        return self._codes[key]

    def edited(self, name: str, edits: tuple[Edit, ...]) -> ast.FunctionDef:
        """The tree of one function after `edits`."""
        tree = _copy(self.functions[name].tree)
        for edit in edits:
            (_replace_node if edit.node else _replace_statements)(tree, edit)
        return tree

    def span(self, edits: tuple[Edit, ...]) -> frozenset[int]:
        """The marks of all that `edits` replace."""
        if edits not in self._spans:
            nodes = (self.functions[edit.function].node(mark) for edit in edits for mark in edit.marks)
            self._spans[edits] = frozenset(mark for node in nodes for mark in _all_marks(node))
        return self._spans[edits]

    def statement(self, edits: tuple[Edit, ...]) -> tuple[str, str]:
        """The text of the lines that `edits` change, before and after; one may be empty."""
        texts = []
        for name, own in _by_function(edits).items():
            trees = (self.functions[name].tree, self.edited(name, own))
            texts.append(_changed(*(ast.unparse(ast.fix_missing_locations(tree)).split("\n") for tree in trees)))
        before, after = zip(*texts, strict=True)
        return "\n".join(before), "\n".join(after)


@cache
def program(algorithm: Algorithm) -> Program:
    """The program of an algorithm."""
    functions: dict[str, Function] = {}
    numbers = count()
    _collect(algorithm.file, algorithm.paper_name, functions)
    for function in functions.values():
        for node in ast.walk(function.tree):
            if isinstance(node, ast.expr | ast.stmt):  # what else there is, all trees of the process share
                vars(node)["marks"] = frozenset({next(numbers)})
    return Program(algorithm.paper_name, functions)


def _collect(file: str, name: str, functions: dict[str, Function]) -> None:
    """Add function `name` of a file, after those that it uses, of other files and of its own, if they have lines."""
    source = (pseudocode.folder() / f"{file}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    found = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    used = {node.id for node in ast.walk(found) if isinstance(node, ast.Name)} - {name}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level > 0 and node.module != "notation":
            for imported in node.names:
                if imported.name in used - functions.keys() and _has_lines(_beside(file, node), imported.name):
                    _collect(_beside(file, node), imported.name, functions)
        elif isinstance(node, ast.FunctionDef) and node.name in used - functions.keys() and _has_lines(file, node.name):
            _collect(file, node.name, functions)
    found.body = found.body[1:] if isinstance(found.body[0], ast.Expr) and len(found.body) > 1 else found.body
    functions[name] = Function(name, file, found, pseudocode.listing(file, name))


def _has_lines(file: str, name: str) -> bool:
    return bool(pseudocode.listing(file, name).statements)


def _beside(file: str, node: ast.ImportFrom) -> str:
    """The file from which a file of the pseudocode imports."""
    folders = file.split("/")[: -node.level]
    return "/".join((*folders, *str(node.module).split(".")))


def _by_function(edits: Iterable[Edit]) -> dict[str, tuple[Edit, ...]]:
    found: dict[str, tuple[Edit, ...]] = {}
    for edit in edits:
        found[edit.function] = (*found.get(edit.function, ()), edit)
    return found


def _marks(node: ast.AST) -> frozenset[int]:
    return getattr(node, "marks", frozenset())


def _all_marks(node: ast.AST) -> Iterable[int]:
    return (mark for inner in ast.walk(node) for mark in _marks(inner))


def _copy(node: Any) -> Any:
    """A copy of a tree, marks and places included; `deepcopy` takes five times as long."""
    if isinstance(node, list):
        return [_copy(part) for part in node]
    if not isinstance(node, ast.expr | ast.stmt | ast.arguments | ast.arg | ast.comprehension | ast.keyword):
        return node  # operators and the like have nothing of their own
    copied: Any = type(node).__new__(type(node))
    copied.__dict__.update({name: _copy(value) for name, value in vars(node).items()})
    return copied


def _find(tree: ast.AST, mark: int) -> ast.AST:
    for node in ast.walk(tree):
        if mark in _marks(node):
            return node
    raise Incompatible


class _Fill(ast.NodeTransformer):
    """Puts what the underscored names stand for in their places."""

    def __init__(self, bound: Mapping[str, ast.AST]):
        self.bound = bound

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in self.bound:
            return node
        filled = _copy(self.bound[node.id])
        if hasattr(filled, "ctx"):
            filled.ctx = node.ctx
        return filled


def _filled(tree: ast.AST, template: ast.AST, edit: Edit) -> ast.AST:
    bound = {name: _find(tree, mark) for name, mark in edit.bound}
    return _Fill(bound).visit(_copy(template))


def _replace_node(tree: ast.AST, edit: Edit) -> None:
    old = _find(tree, edit.marks[0])
    new = _filled(old, patterns.expression(edit.replacement), edit)
    new.marks = _marks(new) | _marks(old)  # type: ignore[attr-defined]
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
                return
            if isinstance(value, list) and any(part is old for part in value):
                setattr(parent, name, [new if part is old else part for part in value])
                return
    raise Incompatible


def _replace_statements(tree: ast.AST, edit: Edit) -> None:
    for parent in ast.walk(tree):
        body = getattr(parent, "body", None)
        if not isinstance(body, list):
            continue
        for i in range(len(body) - len(edit.marks) + 1):
            window = body[i : i + len(edit.marks)]
            if all(mark in _marks(s) for mark, s in zip(edit.marks, window, strict=True)):
                inside = ast.Module(window, type_ignores=[])
                new = [_filled(inside, s, edit) for s in patterns.statements(edit.replacement)]
                parent.body = [*body[:i], *new, *body[i + len(window) :]] or [ast.Pass()]  # type: ignore[attr-defined]
                return
    raise Incompatible


def _changed(before: list[str], after: list[str]) -> tuple[str, str]:
    """The lines in which two texts differ; where lines change places, all from the first to the last of them."""
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    places = [(i, j, k, l) for kind, i, j, k, l in matcher.get_opcodes() if kind != "equal"]
    removed = [_joined(before[i:j]) for i, j, _, _ in places if i < j]
    added = [_joined(after[k:l]) for _, _, k, l in places if k < l]
    if removed == added:
        (i, _, k, _), (_, j, _, l) = places[0], places[-1]
        return _joined(before[i:j]), _joined(after[k:l])
    return "\n".join(removed), "\n".join(added)


def _joined(lines: list[str]) -> str:
    return dedent("\n".join(lines))
