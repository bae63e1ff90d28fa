"""What a function makes of a case: a result, what it draws from, or an exception; and how far two of them are apart."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ..crosscheck.candidate import scaled
from ..crosscheck.catalog import Algorithm, Variation
from ..crosscheck.draws import Case, GumbelSampler
from ..crosscheck.editions import masking, paper_call
from ..crosscheck.layout import is_theta, leaves, to_rows
from ..crosscheck.tolerances import error
from .gradients import MoreUpdates, sampled_differences


@dataclass(frozen=True)
class Outcome:
    """What a function made of a case.

    Attributes:
      values: by name, in the library's layout: "result", a leaf of the parameters, "q" for what tokens are drawn from.
      raised: the exception, where there was one.
    """

    values: dict[str, np.ndarray]
    raised: str = ""


def outcome(result: Any, drawn_from: Any = None) -> Outcome:
    """The outcome that a result of the pseudocode is."""
    values = leaves(result) if is_theta(result) else {"result": to_rows(result)}
    if drawn_from is not None:
        values["q"] = scaled(drawn_from)
    return Outcome(values)


def distance(found: Outcome, expected: Outcome, *, known: bool = False) -> float:
    """The largest error of all values; infinite where one raises, or has another shape, and the other does not.

    Args:
      known: compare only what is not infinite in `expected`, which a gradient at a few places leaves.
    """
    if found.raised or expected.raised:
        return 0.0 if found.raised and expected.raised else np.inf
    return max((_error(found.values.get(n, np.zeros(0)), e, known) for n, e in expected.values.items()), default=0.0)


def _error(found: np.ndarray, expected: np.ndarray, known: bool) -> float:
    if known and found.shape == expected.shape:
        there = ~np.isinf(expected)
        return error(found[there], expected[there])
    return error(found, expected)


def runner(algorithm: Algorithm, case: Case, every: int | None = None) -> Callable[[Callable[..., Any]], Outcome]:
    """What gives the outcome of any edition of the pseudocode on this case.

    Args:
      every: for a training algorithm, of how many arrays one has an entry whose gradient is taken; None for all of it.
    """

    def called() -> tuple[tuple[Any, ...], dict[str, Any]]:
        with jax.enable_x64(True):
            return paper_call(algorithm, case, "float64")

    arguments, options = called()
    trains = algorithm.trains
    varies = isinstance(algorithm, Variation)
    masks = masking(case).ravel() if algorithm.number == 12 else np.zeros(0)

    def run(f: Callable[..., Any]) -> Outcome:
        if every is not None:
            try:
                return once(f, options | {"gradient": sampled_differences(every)})
            except MoreUpdates:
                pass  # then with all of the gradient
        return once(f, options)

    def once(f: Callable[..., Any], options: dict[str, Any]) -> Outcome:
        # An exception may leave a gradient by differences in the middle, with a parameter that is a little off.
        # And a variation's arguments may be used up: numbers that are drawn one after the other.
        given = list(deepcopy(arguments) if trains else called()[0] if varies else arguments)
        given = [GumbelSampler(one.noise) if isinstance(one, GumbelSampler) else one for one in given]
        sampler = next((one for one in given if isinstance(one, GumbelSampler)), None)
        if algorithm.number == 12:
            given[-1] = iter(masks).__next__
        try:
            with np.errstate(all="ignore"):
                result = f(*given, **options)
                return outcome(result, None if sampler is None else sampler.drawn_from)
        except MoreUpdates:
            raise
        except Exception as raised:  # a mutant may do anything: that it raises is what is known of it
            return Outcome({}, f"{type(raised).__name__}: {raised}")

    return run
