"""The process in which somebody else's function runs: reads the calls, writes the answers."""

import dataclasses
import importlib.util
import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..tagging import line, reap
from . import pseudocode
from .answers import Answer
from .draws import GumbelSampler
from .editions import lines_of
from .layout import is_theta, leaves


def load(file: Path, name: str) -> Callable:
    """The function `name` of a file, which may be a module of a package."""
    package = file.parent
    names = [file.stem]
    while (package / "__init__.py").is_file():
        names.insert(0, package.name)
        package = package.parent
    sys.path.insert(0, str(package))
    if len(names) > 1:
        module = importlib.import_module(".".join(names))
    else:
        specification = importlib.util.spec_from_file_location(file.stem, file)
        if specification is None or specification.loader is None:
            raise ImportError(f"{file.name} is not a Python file")
        module = importlib.util.module_from_spec(specification)
        sys.modules[file.stem] = module
        specification.loader.exec_module(module)
    if not callable(getattr(module, name, None)):
        raise ImportError(f"it has no function {name}")
    return getattr(module, name)


def converter(framework: str, dtype: str) -> Callable[[np.ndarray], Any]:
    """From NumPy to the framework's arrays, real numbers in the given precision (for JAX, where x64 is on)."""
    number = jax.numpy.dtype(dtype)  # NumPy alone does not know bfloat16

    def copy(array: np.ndarray) -> np.ndarray:  # what the candidate does to its arguments stays with it
        return np.array(array, dtype=number if array.dtype.kind == "f" else None)

    if framework == "jax":
        return lambda array: jax.numpy.asarray(copy(array))
    if framework == "torch":
        import torch  # type: ignore[import-not-found,unused-ignore]

        def tensor(array: np.ndarray) -> Any:
            own = torch.from_numpy(np.array(array))
            return own.to(getattr(torch, dtype)) if own.is_floating_point() else own

        return tensor
    return copy


def convert(value: Any, to: Callable[[np.ndarray], Any]) -> Any:
    """The arrays of an argument converted: alone, in a list, or in a set of parameters of either edition."""
    if isinstance(value, np.ndarray):
        return to(value)
    if isinstance(value, list):
        return [convert(v, to) for v in value]
    if dataclasses.is_dataclass(value) and hasattr(value, "replace"):  # a pytree of parameters
        return value.replace(**{f.name: convert(getattr(value, f.name), to) for f in dataclasses.fields(value)})
    if is_theta(value):
        return type(value)(**{name: convert(v, to) for name, v in vars(value).items()})
    return value


def to_numpy(result: Any) -> Any:
    """An answer as NumPy: an array, or the leaves of a set of parameters by path."""
    if hasattr(result, "detach"):
        result = result.detach().cpu()
        result = result.float() if result.dtype.itemsize == 2 else result
    if dataclasses.is_dataclass(result) or is_theta(result):
        return {path: np.asarray(leaf) for path, leaf in leaves(result).items()}
    if isinstance(result, list | tuple):
        result = [to_numpy(r) for r in result]
    array = np.asarray(result)
    if array.dtype.name in ("bfloat16", "float16"):
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"returned {type(result).__name__}, expected an array of numbers")
    return array


def why(stage: str, file: Path) -> str:
    """The last frame of the candidate's file, and the exception, in one line."""
    kind, exception, trace = sys.exc_info()
    frames = [f for f in traceback.extract_tb(trace) if Path(f.filename) == file]
    where = f" at {file.name}, line {frames[-1].lineno}: {frames[-1].line}" if frames else ""
    return f"{stage} {kind.__name__ if kind else 'an error'}: {exception}{where}"


def answer(candidate: Callable, arguments: tuple, to: Callable[[np.ndarray], Any], file: Path) -> Answer | str:
    """What a candidate makes of one call; a sentence if it raises."""
    given = tuple(convert(a, to) for a in arguments)
    try:
        result = candidate(*given)
        if isinstance(result, dict):
            named = {str(name): to_numpy(value) for name, value in result.items()}
            if not named:
                raise TypeError("returned a dictionary without values")
            return Answer(None, _drawn_from(given), named)
        return Answer(to_numpy(result), _drawn_from(given), _tagged(candidate, arguments, to))
    except (Exception, SystemExit):
        return why("raises", file)


def _drawn_from(arguments: tuple) -> np.ndarray | None:
    """The distributions that a sampler among the arguments was asked to draw from."""
    for argument in arguments:
        if isinstance(argument, GumbelSampler):
            lengths = {len(q) for q in argument.drawn_from}
            return np.array(argument.drawn_from) if len(lengths) <= 1 else np.zeros((0, 0))
    return None


def _tagged(candidate: Callable, arguments: tuple, to: Callable[[np.ndarray], Any]) -> dict[str, np.ndarray]:
    """The lines that a candidate tags itself, by `number.variable`; none unless its module uses `line`."""
    name, tags = getattr(candidate, "__name__", ""), vars(sys.modules.get(candidate.__module__, sys))
    if not any(value is line for value in tags.values()):
        return {}
    _, found = reap(candidate)(*(convert(a, to) for a in arguments))
    return {tag: np.asarray(value) for tag, value in lines_of(found, (name,)).items()}


def main(request: str, response: str) -> None:
    """Answer a request; whatever goes wrong in the candidate becomes a sentence in the response."""
    pseudocode.module()  # the arguments may be made of its Parameters
    name, function, kind, calls = pickle.loads(Path(request).read_bytes())
    file = Path(name)
    answers: Any
    try:
        if kind[0] == "jax":
            jax.config.update("jax_enable_x64", True)
        to = converter(*kind)
        candidate = load(file, function)
    except (Exception, SystemExit):
        answers = f"{file.name}:{function} cannot be imported: {why('raises', file)}"
    else:
        answers = [answer(candidate, arguments, to, file) for arguments in calls]
    Path(response).write_bytes(pickle.dumps(answers))
