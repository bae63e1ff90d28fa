"""Hyperparameters as JSON: the printed ones as numbers, and the variations, where there are any, by their names.

A function is written as `{"function": "rms_norm"}`, one with settings as `{"function": "Rotary", "base": 10000.0, …}`.
Only functions of this library have names; they are looked up in a table, and nothing that a file says is executed.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from .. import activations, normalization, positional, scores
from ..hyperparameters import VARIATIONS, Biases, Hyperparameters, learned
from ..placement import Placement

_NAMED: dict[str, Any] = {
    f.__name__: f
    for f in (
        *(activations.relu, activations.gelu, activations.gelu_tanh, activations.gelu_sigmoid),
        *(activations.silu, activations.sigmoid, activations.tanh),
        *(normalization.layer_norm, normalization.rms_norm, normalization.rms_norm_about_one),
        *(scores.SoftCap, scores.InTurn, scores.QKNorm),
        *(getattr(positional, name) for name in positional.__all__),
        *(learned, Placement, Biases),
    )
}


def to_json(hyperparameters: Hyperparameters) -> dict[str, Any]:
    """The hyperparameters for JSON.

    Raises:
      ValueError: a variation is a function that is not of this library, and has no name that a file could give it.
    """
    printed = {f.name: getattr(hyperparameters, f.name) for f in fields(hyperparameters) if f.name not in VARIATIONS}
    return printed | {name: _encode(name, value) for name, value in hyperparameters.varied().items()}


def _encode(path: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [_encode(f"{path}[{i}]", part) for i, part in enumerate(value)]
    kind = type(value) if is_dataclass(value) else value
    name = getattr(kind, "__name__", None)
    if name is None or _NAMED.get(name) is not kind:
        raise ValueError(f"{path} is {value!r}, expected a function of this library: a file has no name for another")
    settings = (
        {f.name: _encode(f"{path}.{f.name}", getattr(value, f.name)) for f in fields(value)}
        if kind is not value
        else {}
    )
    return {"function": name} | settings


def from_json(kind: type[Hyperparameters], entries: Mapping[str, Any]) -> Any:
    """The hyperparameters of this kind that `to_json` wrote.

    Raises:
      TypeError: there is an entry that this kind does not know. ValueError: a function or a value is not known.
    """
    return kind(**{name: _decode(name, value) for name, value in entries.items()})


def _decode(path: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(f"{path}[{i}]", part) for i, part in enumerate(value))
    if not isinstance(value, dict):
        return value
    settings = {name: _decode(f"{path}.{name}", part) for name, part in value.items() if name != "function"}
    found: Any = _NAMED.get(str(value.get("function")))
    if found is None:
        raise ValueError(f"{path} has the function {value.get('function')!r}, expected one of {', '.join(_NAMED)}")
    return found(**settings) if isinstance(found, type) else found
