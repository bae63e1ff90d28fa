"""The verdict on every line of what another framework computes, and the mistakes that explain those that differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...tagging import reap
from ..tolerances import error
from .architectures import ARCHITECTURES, Architecture
from .lines import Context, Line


class Hint(NamedTuple):
    """A mistake that explains a line: `error` is what is left of the difference with the mistake in our line too."""

    mistake: str
    title: str
    error: float


@dataclass(frozen=True)
class Finding:
    """One line of the comparison.

    Attributes:
      path: the line, a selector. total: the error against our run.
      own: the error of the line alone: of ours, computed from their values of the lines before.
      verdict: `agrees`; `differs`, if it does by itself; `follows`, if it only hands on what differs before it.
      hints: the mistakes that explain a line that differs.
    """

    path: str
    total: float
    own: float
    verdict: str
    hints: tuple[Hint, ...] = ()


def lines_of(params: Any, hyperparameters: Any, ids: Any) -> dict[str, np.ndarray]:
    """What the library computes, by the names of `capture`: Algorithm 10 or 9 on (…, ℓ) ids."""
    logits, found = _reaped(jnp.asarray(ids), jax.tree.map(jnp.asarray, params), hyperparameters)
    lines = jax.tree.map(np.asarray, found)
    names = _architecture(params).names(hyperparameters.L)
    return {name: np.asarray(logits) if name == "logits" else lines[name] for name in names}


@partial(jax.jit, static_argnames="hyperparameters")
def _reaped(ids: jax.Array, params: Any, hyperparameters: Any) -> Any:
    return reap(_architecture(params).logits)(ids, params, hyperparameters)


def judge(
    theirs: Mapping[str, Any], params: Any, hyperparameters: Any, ids: Any, *, tolerance: float, dtype: str = "float64"
) -> tuple[Finding, ...]:
    """A verdict on every line in `theirs`, wherever these values come from, for (ℓ,) ids.

    Args:
      theirs: values by the names of `lines_of`. All but `6.A` and what follows the last layer have to be there.
      params, hyperparameters: of Algorithm 10 or 9. dtype: in which the library computes, float32 or float64.
    Raises:
      ValueError: if a line is missing from which others are computed.
    """
    architecture = _architecture(params)
    _require_lines(theirs, architecture, hyperparameters.L)
    with jax.enable_x64(dtype == "float64"):
        x, params = jnp.asarray(ids), jax.tree.map(lambda a: np.asarray(a, dtype), params)
        ours = lines_of(params, hyperparameters, x)
        arrays = {name: jnp.asarray(value, dtype) for name, value in theirs.items()}
        lines = []
        for name, layer, line in architecture.places(hyperparameters.L):
            if name in arrays:
                before = _before(architecture, arrays, layer, hyperparameters.L)
                W = params if layer is None else jax.tree.map(lambda a, i=layer: a[i], params.layers)
                W = jax.tree.map(jnp.asarray, W)
                context = Context(x, before, W, hyperparameters.epsilon, architecture.causal, layer)
                lines.append(_finding(name, line, context, ours[name], arrays[name], tolerance))
    return tuple(lines)


def _require_lines(theirs: Mapping[str, Any], architecture: Architecture, L: int) -> None:
    after = {line.name for line in architecture.after}
    optional = [name for name in architecture.names(L) if name in after or name.endswith("6.A")]
    missing = [name for name in architecture.names(L) if name not in theirs and name not in optional]
    if missing:
        raise ValueError(
            f"judge: theirs has no {missing[0]!r}, expected every line up to the end of the last layer; only 6.A may "
            "be missing"
        )


def _architecture(params: Any) -> Architecture:
    return ARCHITECTURES["bert" if hasattr(params, "W_f") else "gpt2"]


def _finding(name: str, line: Line, c: Context, ours: np.ndarray, theirs: jax.Array, allowed: float) -> Finding:
    found = np.asarray(theirs)
    total, own = error(found, ours), error(found, np.asarray(line.value(c)))
    if own <= allowed:
        return Finding(name, total, own, "agrees" if total <= allowed else "follows")
    return Finding(name, total, own, "differs", explain(line, c, theirs, allowed))


def explain(line: Line, c: Context, theirs: jax.Array, allowed: float) -> tuple[Hint, ...]:
    """The mistakes with which a line is `theirs`; those with fitted numbers if there is no other."""
    hints: dict[bool, list[Hint]] = {False: [], True: []}
    found = np.asarray(theirs)
    finite = np.isfinite(found).all()
    for other in line.alternatives(c, theirs):
        left = error(found, np.asarray(other.value))
        if left <= allowed and (finite or not other.fitted):  # a nan is fitted by nan
            hints[other.fitted].append(Hint(other.mistake, other.title, left))
    return tuple(hints[False] or hints[True])


def _before(
    architecture: Architecture, theirs: Mapping[str, jax.Array], layer: int | None, L: int
) -> dict[str, jax.Array]:
    """The lines that a line can be computed from, by their names within its layer."""
    last = L if layer is None else layer
    X = theirs["3.X"] if last == 0 else theirs[f"layers/{last - 1}/{architecture.layer[-1].name}"]
    prefix = "" if layer is None else f"layers/{layer}/"
    lines = {name.removeprefix(prefix): value for name, value in theirs.items() if name.startswith(prefix)}
    return lines | {"X": X}
