"""How somebody else's function is called: in this process, or, as a rule, in one of its own, under a time limit."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from .answers import Answer
from .catalog import Algorithm, Variation
from .draws import Case
from .editions import hyperparameters, masking, sampler
from .isolated import CannotRun, place, run_isolated
from .layout import to_paper

__all__ = ["Candidate", "CannotRun", "FromFile", "FromFunction", "call", "defined", "held"]

_BY_COLUMNS = ("X", "Z", "mask", "W_e", "W_p")


class Candidate(Protocol):
    """Somebody else's function."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def answers(self, calls: list[tuple[Any, ...]]) -> list[Answer | str]:
        """What it answers to each call; a sentence where it raises."""


def call(algorithm: Algorithm, case: Case, layout: str) -> tuple[Any, ...]:
    """The arguments by the names of the signature, in the layout asked for: rows or columns.

    Those of a variation are the values of the case in their order, by rows.
    """
    if isinstance(algorithm, Variation):
        return tuple(case.arguments.values())
    a = dict(case.arguments) | {"hyperparameters": hyperparameters(case)}
    params = a.get("params")
    if params is not None and getattr(params, "W_u", 0) is None:  # tied embeddings
        a["params"] = params.replace(W_u=params.W_e)
    with jax.enable_x64(True):
        if "sample" in algorithm.signature:
            a["sample"] = sampler(algorithm, case, "float64")
        if "replaced" in algorithm.signature:
            a["replaced"] = masking(case) < a["mask_probability"]
    if layout == "columns":
        a |= {name: a[name].T for name in _BY_COLUMNS if name in a}
        if "context" in a:
            a["context"] = list(a["context"])
        if params is not None:
            a["params"] = to_paper(a["params"])
    if algorithm.trains:
        a |= {name: list(a[name]) for name in ("x", "z") if name in a}
    return tuple(a[name] for name in algorithm.signature)


def held(case: Case, dtype: str) -> Case:
    """The case with the numbers that `dtype` can hold, so that both sides see the same ones."""
    if dtype in ("float64", "float32"):
        return case  # all numbers of a case are exact in float32

    def rounded(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return np.asarray(jnp.asarray(value, jnp.float32).astype(dtype).astype(jnp.float32), np.float64)
        return value

    return dataclasses.replace(case, arguments=jax.tree.map(rounded, case.arguments))


def defined(cases: Iterable[Case], dtype: str) -> list[Case]:
    """The cases whose result the paper defines and `dtype` can hold."""
    return [held(c, dtype) for c in cases if c.defined and jnp.finfo(dtype).nmant >= jnp.finfo(c.needs).nmant]


class FromFunction:
    """A function of this process, called with copies of the arguments.

    Args:
      framework: numpy, jax or torch, which is what its arrays are. dtype: of the arrays.
    """

    def __init__(self, function: Callable[..., Any], framework: str = "numpy", dtype: str = "float64"):
        self.function, self.framework, self.dtype = function, framework, dtype
        self.name = getattr(function, "__name__", type(function).__name__)

    def answers(self, calls: list[tuple[Any, ...]]) -> list[Answer | str]:
        from .worker import answer, converter

        file = Path(getattr(getattr(self.function, "__code__", None), "co_filename", self.name))
        with jax.enable_x64(True):
            to = converter(self.framework, self.dtype)
            return [answer(self.function, arguments, to, file) for arguments in calls]


class FromFile:
    """`path/to/file.py:function`, called in a process of its own.

    There it may import a framework that does not live well with JAX.

    Args:
      candidate: the file and the function. framework, dtype: as above. time_limit: seconds for all calls together.
    Raises:
      CannotRun: if there is no such file.
    """

    def __init__(self, candidate: str, framework: str = "numpy", dtype: str = "float64", time_limit: float = 60):
        self.name, self.kind, self.time_limit = candidate, (framework, dtype), time_limit
        self.file, self.function = place(candidate)

    def answers(self, calls: list[tuple[Any, ...]]) -> list[Answer | str]:
        request = (str(self.file), self.function, self.kind, calls)
        who = f"{self.file.name}:{self.function}"
        return run_isolated("formal_tx.crosscheck.worker", request, who, self.time_limit)
