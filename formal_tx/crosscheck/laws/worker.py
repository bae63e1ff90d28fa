"""The process in which the laws run on somebody else's function: reads a request, writes findings, or a sentence."""

import inspect
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..adapters import Model
from ..adapters.algorithms import of_algorithm
from ..catalog import ALGORITHMS, find
from ..worker import load, why
from . import run


@dataclass(frozen=True)
class Request:
    """What to run: `kind` is the algorithm whose arguments the function takes, 0 if its name or its result says it."""

    file: str
    function: str
    kind: int
    framework: str
    dtype: str
    seed: int


def models(request: Request, function: Any) -> list[Model]:
    """What the function is, or what it returns.

    Raises:
      TypeError: if it takes arguments that nobody has named, or takes none and returns no adapter.
    """
    named = {algorithm.name: algorithm.number for algorithm in ALGORITHMS}
    kind = request.kind or named.get(request.function, 0)
    if kind:
        return of_algorithm(find(kind), function, request.framework, request.dtype, request.seed)
    if missing := [p.name for p in inspect.signature(function).parameters.values() if _required(p)]:
        raise TypeError(f"takes the arguments {', '.join(missing)}: say with --kind of which algorithm they are")
    made = function()
    several = made if isinstance(made, list) else [made]
    if not several or not all(isinstance(model, Model) for model in several):
        raise TypeError(
            f"returned {type(made).__name__}, expected a model of formal_tx.crosscheck.adapters, or a list of them"
        )
    return several


def _required(parameter: inspect.Parameter) -> bool:
    several = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not several


def _answer(request: Request) -> Any:
    place = f"{Path(request.file).name}:{request.function}"
    try:
        function = load(Path(request.file), request.function)
    except (Exception, SystemExit):
        return f"{place} cannot be imported: {why('raises', Path(request.file))}"
    try:
        made = models(request, function)
        for model in made:
            _try_once(model)
    except (Exception, SystemExit):
        return f"{place} {why('raises', Path(request.file))}"
    return [finding for model in made for finding in run(model, seed=request.seed)]


def _try_once(model: Model) -> None:
    """One call: what cannot be called at all breaks no law."""
    with model.tools.settings():
        call, arguments = model.example(np.random.default_rng(0))
        answer = model.run(call, *arguments)
    if answer.dtype.kind not in "biuf":
        raise TypeError(f"{model.name} returned no array of numbers")


def main(request: str, response: str) -> None:
    """Answer a request; whatever goes wrong in the function becomes a sentence in the response."""
    answer = _answer(pickle.loads(Path(request).read_bytes()))
    Path(response).write_bytes(pickle.dumps(answer))
