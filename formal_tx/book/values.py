"""Values of the pseudocode as JSON: matrices by rows, as the paper has them, a column for each token."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

import numpy as np

from ..crosscheck.layout import is_theta


def as_json(value: Any) -> int | float | str | None:
    """A number as JSON has it: whole numbers and truth values as integers, and "-inf" and "nan" in words."""
    value = value.item() if isinstance(value, np.generic | np.ndarray) else value
    if isinstance(value, bool):
        return int(value)
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def matrix(value: Any) -> np.ndarray:
    """What a variable holds as an array: a list of vectors is a matrix, a column for each; a list of lists has rows."""
    if isinstance(value, list | tuple) and len(value) and isinstance(value[0], np.ndarray) and value[0].ndim == 1:
        return np.column_stack(value)
    return np.asarray(value)


def shown(name: str, value: Any) -> list[dict[str, Any]]:
    """A variable as the page shows it: itself, or every array of a set of parameters.

    Each has `name`, `shape`, and `rows`: the entries, row by row. A vector is a column, but a list is a row.
    """
    if is_theta(value):
        return [part for path, array in parameters(value, name) for part in shown(path, array)]
    array = matrix(value)
    if array.ndim == 0:
        rows = [[array]]
    elif array.ndim == 1:
        rows = [list(array)] if isinstance(value, list | tuple) else [[entry] for entry in array]
    else:
        rows = [list(row) for row in array]
    return [{"name": name, "shape": list(array.shape), "rows": [[as_json(v) for v in row] for row in rows]}]


def parameters(value: Any, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Every array of a set of parameters, by path: `theta.layers[0].W_mlp1`."""
    if is_theta(value):
        for name, part in vars(value).items():
            yield from parameters(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from parameters(part, f"{path}[{i}]")
    else:
        yield path, value
