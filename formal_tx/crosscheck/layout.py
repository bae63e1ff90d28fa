"""Between the two editions: columns and rows, lists of heads and layers and stacked axes.

What has a column for each token or position in the paper has a row in the library; a matrix that multiplies a vector is
the same in both. Everything here is NumPy.
"""

import dataclasses
from typing import Any

import numpy as np

from . import pseudocode

_TABLES = ("W_e", "W_p")
_STACKED = ("heads", "layers", "encoder", "decoder")


def to_paper(params: Any) -> Any:
    """The library's parameters as the pseudocode's `Parameters`: tables by columns, lists of heads and layers."""
    Parameters = pseudocode.module("notation").Parameters

    def convert(part: Any, take: tuple[int, ...]) -> Any:
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if field.name in _STACKED:
                fields[field.name] = [convert(value, (*take, i)) for i in range(_count(value, len(take)))]
            elif dataclasses.is_dataclass(value):
                fields[field.name] = convert(value, take)
            elif value is None:
                if field.name == "W_u":  # tied embeddings: it is W_e
                    fields[field.name] = np.array(part.W_e, dtype=float)
            else:
                array = np.array(value, dtype=float)[take]
                fields[field.name] = array.T.copy() if field.name in _TABLES else array.copy()
        return Parameters(**fields)

    return convert(params, ())


def _count(stacked: Any, axis: int) -> int:
    value = getattr(stacked, dataclasses.fields(stacked)[0].name)
    return _count(value.heads, axis) if hasattr(value, "heads") else np.shape(value)[axis]


def is_theta(value: Any) -> bool:
    """Whether this is the pseudocode's `Parameters`, from whichever place its module was imported."""
    return type(value).__name__ == "Parameters"


def leaves(part: Any, path: str = "") -> dict[str, np.ndarray]:
    """Every array of a set of parameters of either edition, in the library's layout, by path (`layers.W_mlp1`)."""
    found: dict[str, np.ndarray] = {}
    by_columns = is_theta(part)
    items = vars(part) if by_columns else {f.name: getattr(part, f.name) for f in dataclasses.fields(part)}
    for name, value in items.items():
        here = f"{path}{name}"
        if isinstance(value, list):
            each = [leaves(v, f"{here}.") for v in value]
            found |= {key: np.stack([e[key] for e in each]) for key in (each[0] if each else {})}
        elif dataclasses.is_dataclass(value) or is_theta(value):
            found |= leaves(value, f"{here}.")
        elif value is not None:
            array = np.asarray(value)
            found[here] = array.T if by_columns and name in _TABLES else array
    return found


def to_rows(value: Any) -> np.ndarray:
    """A value of the pseudocode in the library's layout: a matrix transposed, a list of vectors as rows."""
    if isinstance(value, list | tuple):
        return np.array(value)
    array = np.asarray(value)
    return array.T if array.ndim == 2 else array
