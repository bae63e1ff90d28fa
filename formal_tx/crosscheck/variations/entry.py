"""An entry of the catalogue for a part of a model: cases that differ in their random numbers and sizes alone."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..catalog import Variation
from ..draws import Case

Draw = Callable[[np.random.Generator], dict[str, Any]]


def entry(
    name: str,
    purpose: str,
    *,
    module: str,
    beside: str,
    draw: Draw,
    paper: Callable[[dict[str, Any]], tuple[Any, ...]],
    library: Callable[[dict[str, Any]], tuple[Any, dict[str, Any]]],
    pseudocode_name: str = "",
    hard: tuple[tuple[str, Draw], ...] = (),
    functions: tuple[str, ...] = (),
) -> Variation:
    """The entry of a part.

    Args:
      draw: a random case's arguments; its arrays are float64 or integer, rows are tokens. hard: further cases by title.
      paper: the pseudocode's arguments, of these.
      library: the library's result, of these in the library's type, and its lines, by `number.variable`.
    """

    def cases(rng: np.random.Generator, n: int) -> Iterator[Case]:
        for title, one in [*((f"random {i + 1}", draw) for i in range(n)), *hard]:
            arguments = one(rng)
            yield Case(title, arguments, _sizes(arguments))

    def run(case: Case, dtype: Any) -> tuple[Any, dict[str, Any]]:
        a = jax.tree.map(lambda value: _as_library(value, dtype), case.arguments)
        return jax.tree.map(np.asarray, library(a))

    return Variation(
        name=name,
        purpose=purpose,
        module=module,
        sources=functions,
        beside=beside,
        pseudocode_name=pseudocode_name or name,
        draw=cases,
        paper_arguments=lambda case: (paper(case.arguments), {}),
        run=run,
    )


def _as_library(value: Any, dtype: Any) -> Any:
    """Arrays of numbers in the library's type; what is no array stays."""
    if not isinstance(value, np.ndarray):
        return value
    return jnp.asarray(value, dtype if value.dtype.kind == "f" else None)


def _sizes(arguments: dict[str, Any]) -> dict[str, int]:
    """The sizes of all axes, of which the longest is what a line may sum over."""
    axes = [size for leaf in jax.tree.leaves(arguments) for size in np.shape(leaf)]
    return {"longest": max(axes, default=1)}
