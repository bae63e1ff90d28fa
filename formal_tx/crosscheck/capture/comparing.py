"""Holds what another framework computes against the library, and finds the lines that differ by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..tolerances import error
from ..tolerances import tolerance as tolerance_of
from .architectures import ARCHITECTURES
from .hooks import capture
from .judging import Finding, judge
from .parameters import kind_of, parameters_of, require_dtype

_LENGTH = 12  # of the random ids


@dataclass(frozen=True)
class Comparison:
    """All lines in order. `missing` are those that the model did not show."""

    model: str
    algorithm: int
    dtype: str
    tolerance: float
    lines: tuple[Finding, ...]
    missing: tuple[str, ...]

    @property
    def first(self) -> Finding | None:
        """The first line that differs."""
        return next((finding for finding in self.lines if finding.verdict == "differs"), None)

    @property
    def agrees(self) -> bool:
        """Whether no line differs."""
        return self.first is None


class Difference(NamedTuple):
    """A line, and its error relative to its largest value."""

    path: str
    error: float


def first_difference(
    ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray], tolerance: float
) -> Difference | None:
    """The first line, in the order of `ours`, of those that both have, that differs by more than the tolerance.

    Both may be captured: two models of another framework are compared like this.

    Raises:
      ValueError: if they have no line in common.
    """
    common = [path for path in ours if path in theirs]
    if not common:
        raise ValueError("first_difference: ours and theirs have no line in common, expected names such as '2.e'")
    for path in common:
        size = error(np.asarray(theirs[path]), np.asarray(ours[path]))
        if size > tolerance:
            return Difference(path, size)
    return None


def compare(
    model: Any,
    ids: Any = None,
    reference: Any = None,
    *,
    tolerance: float | None = None,
    seed: int = 0,
    **options: Any,
) -> Comparison:
    """Compare a Hugging Face GPT-2 or BERT with the library, line by line, and explain what differs.

    Args:
      model: as `capture` takes it. In float64, model.double(), mistakes are far larger than roundoff.
      ids: (ℓ,) token ids; random ones unless given.
      reference: where the library's parameters come from: None is the model itself, and then it is the computation that
        is compared; another model of the kind; or (params, hyperparameters).
      tolerance: relative to a line's largest value; that of the dtype unless given.
      seed: of the random ids. options: further arguments of the model, such as `position_ids`.
    Raises:
      TypeError, ValueError: as `capture`; for parameters of another size; for ids that are no single sequence.
    """
    kind, dtype = kind_of(model, "compare"), require_dtype(model, "compare")
    params, hyperparameters = _reference(model, reference)
    x = _ids(ids, hyperparameters, seed)
    theirs = capture(model, x, **options)
    if tolerance is None:
        tolerance = tolerance_of(dtype, max(hyperparameters.d_e, hyperparameters.d_mlp), foreign=True)
    lines = judge(theirs, params, hyperparameters, x, tolerance=tolerance, dtype=dtype)
    architecture = ARCHITECTURES[kind]
    missing = tuple(name for name in architecture.names(hyperparameters.L) if name not in theirs)
    return Comparison(type(model).__name__, architecture.number, dtype, tolerance, lines, missing)


def _reference(model: Any, reference: Any) -> tuple[Any, Any]:
    """The library's parameters, of the size of the model."""
    theirs, sizes = parameters_of(model)
    if reference is None:
        return theirs, sizes
    params, hyperparameters = reference if isinstance(reference, tuple) else parameters_of(reference)
    if type(params) is not type(theirs):
        raise TypeError(
            f"compare: reference has {type(params).__name__}, expected {type(theirs).__name__} for a "
            f"{type(model).__name__}"
        )
    for name in ("L", "H", "d_e", "d_attn", "d_mid", "d_mlp", "N_V"):
        ours, expected = getattr(hyperparameters, name), getattr(sizes, name)
        if ours != expected:
            raise ValueError(f"compare: {name} is {ours} in the reference and {expected} in the model")
    return params, hyperparameters


def _ids(ids: Any, hyperparameters: Any, seed: int) -> np.ndarray:
    """One sequence of token ids."""
    l_max, N_V = hyperparameters.l_max, hyperparameters.N_V
    if ids is None:
        return np.random.default_rng(seed).integers(N_V, size=min(_LENGTH, l_max), dtype=np.int32)
    x = np.asarray(ids.cpu() if hasattr(ids, "cpu") else ids)
    x = x[0] if x.ndim == 2 and len(x) == 1 else x
    if x.ndim != 1 or x.dtype.kind not in "iu" or not 1 <= x.size <= l_max:
        raise ValueError(
            f"compare: ids are {x.dtype} of shape {x.shape}, expected integers of shape (ℓ,) with 1 ≤ ℓ ≤ {l_max}"
        )
    if not 0 <= x.min() <= x.max() < N_V:
        raise ValueError(f"compare: ids go from {x.min()} to {x.max()}, expected 0 to {N_V - 1}")
    return x.astype(np.int32)
