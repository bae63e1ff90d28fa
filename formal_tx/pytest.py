"""One line in a test-suite of your own: `test_mine = formal_tx.pytest.algorithm(5, my_mh_attention)`.

It is what `formal-tx check 5 --against FILE:my_mh_attention` does, in the process of the tests. pytest loads nothing of
this unless a test imports it.
"""

import os
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from .crosscheck import Algorithm, Comparison
    from .crosscheck.compare import Difference

_CHOICES = {
    "framework": ("numpy", "jax", "torch"),
    "layout": ("rows", "columns"),
    "dtype": ("float64", "float32"),
}


def algorithm(
    number: int | str,
    function: Callable[..., Any],
    *,
    framework: str = "numpy",
    layout: str = "rows",
    dtype: str = "float64",
    seed: int = 0,
    cases: int = 3,
    diagnose: bool = True,
) -> Callable[..., None]:
    """A test that `function` does what an algorithm of the paper does, to be assigned to a name that begins with test_.

    The function is called with the positional arguments of `formal-tx check N --against …`, and fresh copies of them at
    each call. If it returns a dictionary of named values (`S`, or `4.S`), each is compared, not the result alone. When
    it disagrees, the test fails with the smallest case that shows it, the first wrong entry, and the mistake that was
    probably made.

    Args:
      number: of the algorithm, or its name.
      framework: what its arrays are, numpy, jax or torch. layout: rows are tokens, or columns.
      dtype: of real numbers, float64 or float32.
      seed, cases: of the random cases, and how many of each kind.
      diagnose: whether to look for the mistake, which takes seconds.
    Raises:
      ValueError: there is no such algorithm, or no such framework, layout or dtype. TypeError: `function` is none.
    """
    from .crosscheck import find

    try:
        found = find(number)
    except KeyError as error:
        raise ValueError(str(error.args[0])) from None
    if not callable(function):
        raise TypeError(f"function is of type {type(function).__name__}, expected a function")
    options = {"framework": framework, "layout": layout, "dtype": dtype}
    for name, value in options.items():
        if value not in _CHOICES[name]:
            raise ValueError(f"{name} is {value!r}, expected one of {', '.join(_CHOICES[name])}")

    def test(*_: Any) -> None:  # in a class it is called with the instance
        from .crosscheck.calling import CannotRun, FromFunction
        from .diagnosis import judge, report

        candidate = FromFunction(function, framework, dtype)
        try:
            comparison, diagnosis = judge(
                found, candidate, seed=seed, cases=cases, dtype=dtype, layout=layout, diagnosed=diagnose
            )
        except CannotRun as reason:
            pytest.fail(str(reason), pytrace=False)
        if not comparison.agrees:
            message = [_explanation(comparison)]
            message += [] if diagnosis is None else [_plain(report.panel(diagnosis))]
            pytest.fail("\n".join([*message, _command(found, function, options)]), pytrace=False)

    test.__name__ = test.__qualname__ = f"test_{found.name}"
    test.__doc__ = f"{getattr(function, '__name__', function)} is Algorithm {found.number}, {found.name}."
    return test


def _explanation(comparison: "Comparison") -> str:
    from .crosscheck import report

    bad = comparison.first_bad
    assert bad is not None
    return _plain(report.explain(comparison)) + _first_wrong_entry(bad)


def _first_wrong_entry(bad: "Difference") -> str:
    """The first entry that is further off than rounding, with its index."""
    if bad.raised or bad.found.shape != bad.expected.shape:
        return ""
    found, expected = np.asarray(bad.found, dtype=float), np.asarray(bad.expected, dtype=float)
    finite = np.abs(expected[np.isfinite(expected)])
    with np.errstate(invalid="ignore"):
        near = np.abs(found - expected) <= bad.allowed * max(finite.max(initial=0.0), np.finfo(float).tiny)
    wrong = np.argwhere(~near & (found != expected) & ~(np.isnan(found) & np.isnan(expected)))
    index = tuple(int(i) for i in wrong[0])
    return f"first wrong entry: {list(index)} is {found[index]:.9g}, expected {expected[index]:.9g}\n"


def _command(algorithm: "Algorithm", function: Callable[..., Any], options: dict[str, str]) -> str:
    """How to see it from the command line, if the function is one of a file."""
    code, name = getattr(function, "__code__", None), getattr(function, "__qualname__", "")
    if code is None or not name.isidentifier() or not os.path.isfile(code.co_filename):
        return ""
    chosen = [f" --{option} {value}" for option, value in options.items() if value != _CHOICES[option][0]]
    file = os.path.relpath(code.co_filename)
    return (
        f"the same from the command line: formal-tx check {algorithm.number} --against {file}:{name}{''.join(chosen)}"
    )


def _plain(renderable: Any) -> str:
    """What a terminal of 100 columns would show, without colours."""
    from rich.console import Console

    text = StringIO()
    Console(file=text, width=100, color_system=None, force_terminal=False).print(renderable)
    return text.getvalue()
