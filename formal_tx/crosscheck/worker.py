"""The process in which somebody else's function runs: reads the calls, writes the answers.

python -m formal_tx.crosscheck.worker REQUEST RESPONSE
"""

import dataclasses
import importlib.util
import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import pseudocode
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
    """From NumPy to the framework's arrays, real numbers in the given precision."""

    def copy(array: np.ndarray) -> np.ndarray:  # what the candidate does to its arguments stays with it
        return np.array(array, dtype=dtype if array.dtype.kind == "f" else None)

    if framework == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
        return lambda array: jax.numpy.asarray(copy(array))
    if framework == "torch":
        import torch  # type: ignore[import-not-found,unused-ignore]

        return lambda array: torch.from_numpy(copy(array))
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
    if dataclasses.is_dataclass(result) or is_theta(result):
        return {path: np.asarray(leaf) for path, leaf in leaves(result).items()}
    if isinstance(result, list | tuple):
        result = [to_numpy(r) for r in result]
    array = np.asarray(result)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"returned {type(result).__name__}, expected an array of numbers")
    return array


def _why(stage: str, file: Path) -> str:
    """The last frame of the candidate's file, and the exception, in one line."""
    kind, exception, trace = sys.exc_info()
    frames = [f for f in traceback.extract_tb(trace) if Path(f.filename) == file]
    where = f" at {file.name}, line {frames[-1].lineno}: {frames[-1].line}" if frames else ""
    return f"{stage} {kind.__name__ if kind else 'an error'}: {exception}{where}"


def main(request: str, response: str) -> None:
    """Answer a request; whatever goes wrong in the candidate becomes a sentence in the response."""
    pseudocode.module()  # the arguments may be made of its Parameters
    name, function, kind, calls = pickle.loads(Path(request).read_bytes())
    file = Path(name)
    answers: Any = []
    try:
        to = converter(*kind)
        candidate = load(file, function)
    except (Exception, SystemExit):
        answers = f"{file.name}:{function} cannot be imported: {_why('raises', file)}"
    else:
        for arguments in calls:
            try:
                answers.append(to_numpy(candidate(*(convert(a, to) for a in arguments))))
            except (Exception, SystemExit):
                answers.append(_why("raises", file))
    Path(response).write_bytes(pickle.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
