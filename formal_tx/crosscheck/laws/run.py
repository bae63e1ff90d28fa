"""Runs the laws on a model, and says of each whether it holds."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..adapters import Model
from .law import LAWS, DoesNotApply, Law, Measured

Outcome = Literal["holds", "violated", "does not apply", "could not run"]


@dataclass(frozen=True)
class Finding:
    """What a law says of a model.

    Attributes:
      model, law: their names. statement: the law's.
      outcome: holds, violated, does not apply, or could not run.
      error: the largest, relative to the largest expected value; None if nothing was measured.
      allowed: what is rounding.
      where: indices by name. reason: why it does not apply or could not run, or what else is to be said.
    """

    model: str
    law: str
    statement: str
    outcome: Outcome
    error: float | None = None
    allowed: float | None = None
    where: tuple[tuple[str, int], ...] = ()
    reason: str = ""


def run(model: Model, names: Iterable[str] | None = None, *, seed: int = 0) -> list[Finding]:
    """The laws about models of this kind, or those of `names`, tried on a model.

    Raises:
      KeyError: for a law that does not exist.
    """
    chosen = [law for law in LAWS.values() if law.is_about(model)] if names is None else [LAWS[name] for name in names]
    with model.tools.settings(), np.errstate(all="ignore"):
        return [_finding(law, model, seed) for law in chosen]


def _finding(law: Law, model: Model, seed: int) -> Finding:
    reason = law.why_not(model)
    if reason is not None:
        return Finding(model.name, law.name, law.statement, "does not apply", reason=reason)
    rng = np.random.default_rng([seed, zlib.crc32(law.name.encode())])  # the same whatever laws there are
    try:
        measured = law.measure(model, rng)
    except DoesNotApply as why:
        return Finding(model.name, law.name, law.statement, "does not apply", reason=str(why))
    except Exception as failure:  # of the model, which may do anything
        outcome: Outcome = "does not apply" if law.transforms else "could not run"
        reason = f"raises {type(failure).__name__}: {_first_line(failure)}"
        return Finding(model.name, law.name, law.statement, outcome, reason=reason)
    return _judged(law, model, measured)


def _judged(law: Law, model: Model, measured: Measured) -> Finding:
    allowed = 0.0 if law.exact else model.allowed()
    return Finding(
        model.name,
        law.name,
        law.statement,
        "holds" if measured.error <= allowed else "violated",
        measured.error,
        allowed,
        tuple(measured.where.items()),
        measured.note,
    )


def _first_line(failure: Exception) -> str:
    return (str(failure).splitlines() or [""])[0][:200]
