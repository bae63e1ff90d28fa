"""Patterns of source text: `_S / sqrt(_d)` matches every expression of that form, whatever stands for `_S` and `_d`.

A name that begins with an underscore stands for any expression, the same one wherever it occurs again in the pattern.
Everything else stands for itself. A pattern is one expression, or statements that follow each other.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache

Bound = dict[str, ast.AST]


@cache
def expression(text: str) -> ast.expr:
    """The syntax tree of an expression."""
    return ast.parse(text, mode="eval").body


@cache
def statements(text: str) -> tuple[ast.stmt, ...]:
    """The syntax trees of statements."""
    return tuple(ast.parse(text).body)


@cache
def is_expression(text: str) -> bool:
    """Whether a pattern is one expression; if not, it is statements."""
    body = ast.parse(text).body
    return len(body) == 1 and isinstance(body[0], ast.Expr)


def match(pattern: ast.AST, node: ast.AST, bound: Bound | None = None) -> Bound | None:
    """What the underscored names of `pattern` stand for in `node`; None if it does not match."""
    bound = {} if bound is None else bound
    if isinstance(pattern, ast.Name) and pattern.id.startswith("_"):
        before = bound.setdefault(pattern.id, node)
        return bound if before is node or text(before) == text(node) else None
    if type(pattern) is not type(node):
        return None
    for field in pattern._fields:
        if not _match_field(getattr(pattern, field), getattr(node, field), bound):
            return None
    return bound


def _match_field(wanted: object, found: object, bound: Bound) -> bool:
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(_match_field(w, f, bound) for w, f in zip(wanted, found, strict=True))
        )
    if isinstance(wanted, ast.AST):
        return isinstance(found, ast.AST) and match(wanted, found, bound) is not None
    return wanted == found


def text(node: ast.AST) -> str:
    """The source text of a tree, on one line."""
    return ast.unparse(node)


def matches(
    pattern: str, tree: ast.AST, where: Mapping[str, str]
) -> Iterator[tuple[tuple[ast.AST, ...], dict[str, ast.AST]]]:
    """Every place of `tree` that matches: its node, or its statements, and what the names stand for.

    Args:
      where: for an underscored name, a regular expression that the text of what it stands for matches as a whole.
    """
    for nodes in _places(pattern, tree):
        bound: Bound | None = {}
        parts = (expression(pattern),) if is_expression(pattern) else statements(pattern)
        for part, node in zip(parts, nodes, strict=True):
            if bound is not None:
                bound = match(part, node, bound)
        if bound is not None and all(re.fullmatch(r, text(bound[name])) for name, r in where.items()):
            yield nodes, bound


def _places(pattern: str, tree: ast.AST) -> Iterator[tuple[ast.AST, ...]]:
    if is_expression(pattern):
        yield from ((node,) for node in ast.walk(tree) if isinstance(node, ast.expr))
        return
    n = len(statements(pattern))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            yield from (tuple(body[i : i + n]) for i in range(len(body) - n + 1))
