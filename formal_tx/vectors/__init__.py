"""Conformance vectors: what every line of every algorithm gives, as files, for ports to other languages.

`cases` says on what the pseudocode is run, `vector` runs it, `portable` and `rounding` see to it that every machine
gets the same bits, `writing` and `verifying` are the two things that one does with it.
"""

from .verifying import Verdict, verify_vectors
from .writing import write_vectors

__all__ = ["Verdict", "verify_vectors", "write_vectors"]
