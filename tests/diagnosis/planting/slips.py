"""Slips of whoever writes a placement: it fails for a reason of its own, and not for the mistake."""

import builtins
import re
import symtable
from collections.abc import Callable, Iterator
from typing import Any

_CALL = re.compile(r"(positional|keyword|required) argument")
_KNOWN = {*dir(builtins), "__file__", "__name__"}


class Slip(BaseException):
    """A name, an attribute or an argument that is not there. No `Exception`: of those the check makes an outcome."""


def without_slips(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f`, which raises `Slip` where it would raise for what no mistake of the catalogue is."""

    def checked(*arguments):
        try:
            return f(*arguments)
        except (NameError, AttributeError, ImportError) as error:
            raise Slip(f"{type(error).__name__}: {error}") from error
        except TypeError as error:
            if _CALL.search(str(error)):
                raise Slip(f"TypeError: {error}") from error
            raise

    return checked


def unknown_names(text: str) -> set[str]:
    """The global names that the text of a module uses and neither it nor Python has."""
    module = symtable.symtable(text, "module", "exec")
    bound = {s.get_name() for s in module.get_symbols() if s.is_assigned() or s.is_imported()}
    return set(_globals(module)) - bound - _KNOWN


def _globals(scope: symtable.SymbolTable) -> Iterator[str]:
    yield from (s.get_name() for s in scope.get_symbols() if s.is_global() and s.is_referenced())
    for inner in scope.get_children():
        yield from _globals(inner)
