"""A placement: one mistake, written by hand at one place of the JAX edition."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax

from formal_tx.crosscheck import find
from formal_tx.crosscheck.calling import FromFunction
from formal_tx.diagnosis import Diagnosis, examine

from .candidates import candidate
from .edition import Edition, patched
from .slips import without_slips


@dataclass(frozen=True)
class Placement:
    """A mistake in a file of the JAX edition.

    Attributes:
      algorithm: the number of the algorithm that is diagnosed.
      file: where the mistake is, from the library's folder, or "uncached.py".
      ids: what it may be called: one, or several names of the same function.
      changes: pairs of a text, which occurs once in the file, and what is written instead.
    """

    algorithm: int
    file: str
    ids: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.algorithm}, {self.file}, {' = '.join(self.ids)}"

    def diagnose(self, seconds: float = 0) -> Diagnosis:
        """What the diagnosis says of the edition with this mistake; `seconds` for pairs of mistakes.

        Raises:
          Slip: if what is planted fails for another reason than the mistake.
        """
        with tempfile.TemporaryDirectory() as folder, plain_jax():
            edition = Edition(Path(folder), self.file, patched(self.file, self.changes))
            try:
                f = candidate(self.algorithm, edition, cached=self.file.startswith("inference/"))
                return examine(find(self.algorithm), FromFunction(without_slips(f), "jax"), seconds=seconds)
            finally:
                edition.forget()

    def named_by(self, diagnosis: Diagnosis) -> bool:
        """Whether the mistake is named first, or equals what is."""
        return any(e.mistakes == (i,) for e in diagnosis.explained for i in self.ids)


@contextlib.contextmanager
def plain_jax() -> Iterator[None]:
    """Types and ranks promoted, as JAX does unless it is told not to; and what is global left as it was."""
    x64 = jax.config.jax_enable_x64
    try:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            yield
    finally:
        jax.config.update("jax_enable_x64", x64)


def place(algorithm: int, file: str, ids: str, *changes: tuple[str, str]) -> Placement:
    """A placement whose `ids` are separated by spaces."""
    return Placement(algorithm, file, tuple(ids.split()), changes)
