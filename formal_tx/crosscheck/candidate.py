"""The check against somebody else's function: it runs in a process of its own, under a time limit."""

import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from . import cases as drawn
from .catalog import Algorithm
from .compare import Comparison, Difference
from .draws import Case
from .editions import hyperparameters, masking, run_paper, sampler
from .layout import is_theta, leaves, to_paper, to_rows
from .tolerances import error, tolerance

_SHOWN = 4000  # characters of what the candidate printed
_BY_COLUMNS = ("X", "Z", "mask", "W_e", "W_p")


class CannotRun(Exception):
    """The candidate could not be run: the message says what stopped it."""


def check_candidate(
    algorithm: Algorithm,
    candidate: str,
    *,
    seed: int = 0,
    cases: int = 3,
    dtype: str = "float64",
    framework: str = "numpy",
    layout: str = "rows",
    time_limit: float = 60,
) -> Comparison:
    """Compare the results of `candidate`, "path/to/file.py:function", with the pseudocode's.

    It is called with the positional arguments that `algorithm.signature` names, on every case whose result the paper
    defines. What it prints goes to standard error.

    Args:
      dtype: of the arrays, float64 or float32. framework: numpy, jax or torch, which is what they are.
      layout: rows, or columns for the paper's own layout, with heads and layers in lists.
      time_limit: seconds for all cases together.
    Raises:
      CannotRun: if it does not import, raises, returns no array, or takes too long.
    """
    start = time.perf_counter()
    file, function = _split(candidate)
    ordinary = [case for case in drawn.draw(algorithm.number, seed, cases) if case.defined]
    small = drawn.small(algorithm.number, seed)
    with jax.enable_x64(True):
        calls = [_call(algorithm, case, layout) for case in ordinary + small]
        expected = [_rows(run_paper(algorithm, case, "float64")[0]) for case in ordinary + small]
    answers = _run(file, function, (framework, dtype), calls, time_limit)

    for case, answer in zip(ordinary, answers, strict=False):
        if isinstance(answer, str):
            raise CannotRun(f"{candidate}: in the case “{case.title}” it {answer}")
    differences = [
        _difference(algorithm, case, answer, wanted, layout, dtype)
        for case, answer, wanted in zip(ordinary + small, answers, expected, strict=True)
        if not isinstance(answer, str)
    ]
    judged, shown = differences[: len(ordinary)], differences[len(ordinary) :]
    bad = [d for d in judged if not d.agrees]
    worst = max(judged, key=lambda d: d.error)
    smallest = [d for d in shown if not d.agrees and d.error >= worst.error / 10] if bad else []
    shown_first = next(iter(smallest or bad), None)
    lines = algorithm.listing.assigned
    return Comparison(
        algorithm,
        lines=len({s.number for s in lines}),
        lines_compared=1,  # what is not ours shows only its result
        cases=len(ordinary),
        seconds=time.perf_counter() - start,
        worst=worst,
        first_bad=shown_first,
        failing=next((c for c in small + ordinary if shown_first and c.title == shown_first.case), None),
        by_line=False,
    )


def _split(candidate: str) -> tuple[Path, str]:
    file, _, function = candidate.rpartition(":")
    if not file or not function.isidentifier():
        raise CannotRun(f"{candidate}: expected path/to/file.py:function")
    path = Path(file)
    if not path.is_file():
        raise CannotRun(f"{candidate}: there is no file {file}")
    return path.resolve(), function


def _call(algorithm: Algorithm, case: Case, layout: str) -> tuple[Any, ...]:
    """The arguments by the names of the signature, in the layout asked for."""
    a = dict(case.arguments) | {"hyperparameters": hyperparameters(case)}
    params = a.get("params")
    if params is not None and getattr(params, "W_u", 0) is None:  # tied embeddings
        a["params"] = params.replace(W_u=params.W_e)
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
    if algorithm.number in (11, 12, 13):
        a |= {name: list(a[name]) for name in ("x", "z") if name in a}
    return tuple(a[name] for name in algorithm.signature)


def _rows(result: Any) -> Any:
    return leaves(result) if is_theta(result) else to_rows(result)


def _run(file: Path, function: str, kind: tuple[str, str], calls: list[tuple], time_limit: float) -> list[Any]:
    """The candidate's answers in another process; a string in the place of one says how it failed."""
    with tempfile.TemporaryDirectory(prefix="formal-tx-") as place:
        request, response, printed = Path(place, "request"), Path(place, "response"), Path(place, "printed")
        request.write_bytes(pickle.dumps((str(file), function, kind, calls)))
        command = [sys.executable, "-m", "formal_tx.crosscheck.worker", str(request), str(response)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "JAX_PLATFORMS": "cpu"}
        with printed.open("wb") as log:
            try:
                done = subprocess.run(
                    command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=time_limit
                )
            except subprocess.TimeoutExpired:
                raise CannotRun(f"{file.name}:{function} did not return within {time_limit:g} seconds") from None
            finally:
                sys.stderr.write(printed.read_text(errors="replace")[-_SHOWN:])
        if not response.is_file():
            raise CannotRun(f"{file.name}:{function} ended its process with exit status {done.returncode}")
        answers = pickle.loads(response.read_bytes())
    if isinstance(answers, str):
        raise CannotRun(answers)
    return answers


def _difference(algorithm: Algorithm, case: Case, answer: Any, expected: Any, layout: str, dtype: str) -> Difference:
    last = algorithm.listing.assigned[-1]

    def difference(name: str, found: np.ndarray, wanted: np.ndarray) -> Difference:
        kind = "float32" if found.dtype == np.float32 else dtype
        allowed = tolerance(kind, case.longest, by_differences=algorithm.number in (11, 12, 13), foreign=True)
        return Difference(last.number, name, 0, 1, error(found, wanted), allowed, case.title, found, wanted)

    if isinstance(expected, dict):
        each = [difference(f"{last.variable}.{k}", answer.get(k, np.zeros(0)), v) for k, v in expected.items()]
        return max(each, key=lambda d: d.error)
    if layout == "columns" and answer.ndim == 2:
        answer = answer.T
    return difference(str(last.variable), answer, expected)
