"""The laws: each invariant stated once, as a test that takes any model through a small adapter.

`run(model)` tries all of them; `adapters` has what a model is, `of_algorithm` makes one of a function of an algorithm's
signature, `of_library` of this library's own.
"""

from . import attention, everywhere, parts, sequences, visibility  # noqa: F401 - they register their laws
from .law import LAWS, Law
from .run import Finding, run

__all__ = ["LAWS", "Finding", "Law", "run"]
