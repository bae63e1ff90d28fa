"""What a law is, what it finds, and how two results that should be equal are compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..adapters import Model
from ..tolerances import error


class DoesNotApply(Exception):
    """The model turns out not to offer what the law is about: the message says why."""


@dataclass(frozen=True)
class Measured:
    """The largest error, relative to the largest expected value, and where it is.

    Attributes:
      error: infinite where one result is finite and one is not, or where the shapes differ.
      where: indices by name, such as {"query": 2, "key": 4}. note: what else is to be said.
    """

    error: float
    where: Mapping[str, int]
    note: str = ""


@dataclass(frozen=True)
class Law:
    """An invariant, stated once.

    Attributes:
      name: its identifier. statement: one sentence.
      kinds: the adapters that it is about. needs: their attributes that may not be None or false.
      without: their attributes that have to be false. exact: whether not even rounding is allowed.
      transforms: whether it hands the model to a transformation of its framework, which it may be too plain for.
      measure: a model and a random generator → `Measured`.
    """

    name: str
    statement: str
    kinds: tuple[type[Model], ...]
    measure: Callable[[Any, np.random.Generator], Measured]
    needs: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    exact: bool = False
    transforms: bool = False

    def is_about(self, model: Model) -> bool:
        """Whether it is about models of this kind."""
        return isinstance(model, self.kinds)

    def why_not(self, model: Model) -> str | None:
        """Why it does not apply to a model; None if it does."""
        if not self.is_about(model):
            return f"it is about {' and '.join(kind.__name__ for kind in self.kinds)}"
        for name in self.needs:
            value = getattr(model, name)
            if value is None or value is False:
                return f"the adapter has no `{name}`" if value is None else f"the model is not `{name}`"
        for name in self.without:
            if getattr(model, name):
                return f"the model is `{name}`"
        return None


LAWS: dict[str, Law] = {}
"""Every law by its name, in the order in which they are tried."""


def law(name: str, statement: str, *kinds: type[Model], **options: Any) -> Callable[[Callable], Callable]:
    """Registers the function below it as the `measure` of a law."""

    def register(measure: Callable) -> Callable:
        LAWS[name] = Law(name, statement, kinds, measure, **options)
        return measure

    return register


def compare(found: np.ndarray, expected: np.ndarray, axis: str = "row", at: Any = None, **where: int) -> Measured:
    """The error of `found`, and the row at which it is largest.

    Args:
      axis: what a row is. at: the number of each row, if they are not 0, 1, 2, …
      where: further indices, for the report.
    """
    size = error(found, expected)
    if found.shape != expected.shape:
        return Measured(size, where, f"shape {found.shape} instead of {expected.shape}")
    if found.ndim == 0 or found.size == 0:
        return Measured(size, where)
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.asarray(found, float) - np.asarray(expected, float))
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    apart = np.where(same, 0, np.nan_to_num(apart, nan=np.inf, posinf=np.inf))
    row = int(np.argmax(apart.reshape(len(apart), -1).max(axis=1)))
    return Measured(size, {axis: row if at is None else int(at[row]), **where})


def worst(each: list[Measured]) -> Measured:
    """The largest of several errors."""
    if not each:
        raise DoesNotApply("there is nothing to compare")
    return max(each, key=lambda m: m.error)


def gradient(model: Model, function: Callable, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The gradient of Σ weights · function(x), as NumPy.

    Raises:
      DoesNotApply: if the framework has none.
    """
    tools = model.tools
    if not tools.has_gradients:
        raise DoesNotApply(f"{model.framework} has no gradients")
    x, weights = (tools.array(a, model.dtype) for a in (x, weights))
    return tools.numpy(tools.pull_back(function, x, weights))


def influence(model: Model, function: Callable, x: np.ndarray, n_rows: int) -> np.ndarray:
    """(n_rows, ℓ): how much row t of `function(x)` depends on row s of `x`, relative to the largest dependence.

    Raises:
      DoesNotApply: if nothing depends on anything, or there are no gradients.
    """
    width = model.run(function, x).shape[1]
    sizes = np.zeros((n_rows, len(x)))
    for t in range(n_rows):
        weights = np.zeros((n_rows, width))
        weights[t] = 1 + np.arange(width) % 3 - 0.5 * (np.arange(width) % 2)  # no constant: probabilities sum to one
        sizes[t] = np.abs(gradient(model, function, x, weights)).max(axis=1)
    if not np.isfinite(sizes).all():
        return sizes
    if sizes.max() == 0:
        raise DoesNotApply("its gradient is 0 everywhere")
    return sizes / sizes.max()


def forbidden(sizes: np.ndarray, allowed: np.ndarray, row: str, column: str) -> Measured:
    """The largest influence where `allowed` is false; infinite where it is not finite."""
    found = np.where(allowed, 0, np.where(np.isfinite(sizes), sizes, np.inf))
    t, s = np.unravel_index(np.argmax(found), found.shape)
    return Measured(float(found[t, s]), {row: int(t), column: int(s)})
