"""A set of parameters of the pseudocode as named arrays, and back: `layers.0.attention.heads.1.W_q`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..crosscheck import pseudocode
from ..crosscheck.layout import is_theta


def flatten(value: Any, path: str = "") -> dict[str, np.ndarray]:
    """Every array of `value`, in order, by path; heads and layers count from 0."""
    if is_theta(value):
        items = vars(value).items()
    elif isinstance(value, list):
        items = {str(i): part for i, part in enumerate(value)}.items()
    else:
        return {path: np.asarray(value)}
    return {name: A for key, part in items for name, A in flatten(part, f"{path}.{key}" if path else key).items()}


def unflatten(arrays: Mapping[str, Any]) -> Any:
    """The pseudocode's `Parameters` whose arrays have these paths, in this order."""
    if "" in arrays:
        return arrays[""]
    parts: dict[str, dict[str, Any]] = {}
    for path, array in arrays.items():
        first, _, rest = path.partition(".")
        parts.setdefault(first, {})[rest] = array
    children = {name: unflatten(part) for name, part in parts.items()}
    if all(name.isdigit() for name in children):
        return [children[str(i)] for i in range(len(children))]
    return pseudocode.module("notation").Parameters(**children)
