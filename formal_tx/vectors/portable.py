"""Arrays whose every operation gives the same bits on every machine, to run the pseudocode with.

NumPy leaves matrix products to a BLAS, which sums in an order of its own, and exp to whatever the processor is good at.
A `Portable` array sums in the order of the index, one addition after the other, and takes exp, log, erf and powers
rounded correctly. The other operations of IEEE 754 (+ - × ÷ √) are the same everywhere already. What is neither is
refused.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import rounding

_ROUNDED_BY_IEEE_754 = (
    *(np.add, np.subtract, np.multiply, np.divide, np.sqrt, np.square, np.negative, np.positive, np.absolute),
    *(np.maximum, np.minimum, np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal),
    *(np.isnan, np.isfinite),
)
_WITHOUT_ARITHMETIC = (np.where, np.concatenate, np.column_stack, np.zeros_like, np.empty_like, np.copyto)
_DIFFERS = "does not give the same bits on every machine"
_ROUNDED_HERE = {"exp": rounding.exp, "log": rounding.log, "erf (vectorized)": rounding.erf}


class Portable(np.ndarray):
    """A float64 array that computes the same everywhere. Its elements are arrays of no axes, which compute so too."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [np.asarray(i) if isinstance(i, Portable) else i for i in inputs]
        if ufunc is np.matmul and method == "__call__":
            result = _product(*plain)
        elif ufunc is np.add and method == "reduce":
            result = _sum(plain[0], options["axis"])
        elif ufunc is np.maximum and method == "reduce":
            result = np.maximum.reduce(plain[0], axis=options["axis"])
        elif ufunc is np.power and method == "__call__" and np.ndim(plain[1]) == 0:
            exponent = float(plain[1])
            result = _each(lambda x: rounding.power(x, exponent), plain[0])
        elif ufunc.__name__ in _ROUNDED_HERE and method == "__call__":
            result = _each(_ROUNDED_HERE[ufunc.__name__], plain[0])
        elif ufunc in _ROUNDED_BY_IEEE_754 and method == "__call__":
            result = ufunc(*plain, **options)
        else:
            raise TypeError(f"numpy.{ufunc.__name__} ({method}) {_DIFFERS}")
        return portable(result)

    def __array_function__(self, func: Callable, types: Any, args: Any, kwargs: Any) -> Any:
        if func not in _WITHOUT_ARITHMETIC:
            raise TypeError(f"numpy.{func.__name__} {_DIFFERS}")
        return portable(super().__array_function__(func, types, args, kwargs))

    def __getitem__(self, index: Any) -> Any:
        return portable(super().__getitem__(index))


def portable(value: Any) -> Portable:
    """An array of numbers, or one number, as a `Portable` one."""
    return np.asarray(value).view(Portable)


def _product(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A @ B for vectors and matrices: the sum over the inner axis begins at its first term and goes on in order."""
    left, right = np.atleast_2d(A), B if B.ndim == 2 else B[:, None]
    product = np.zeros((left.shape[0], right.shape[1])) if not left.shape[1] else left[:, :1] * right[:1]
    for k in range(1, left.shape[1]):
        product = product + left[:, k : k + 1] * right[k : k + 1]
    return product.reshape(A.shape[:-1] + B.shape[1:])


def _sum(A: np.ndarray, axis: int | None) -> np.ndarray:
    terms = A.reshape(-1) if axis is None else np.moveaxis(A, axis, 0)
    total = np.zeros(terms.shape[1:])
    for term in terms:
        total = total + term
    return total


def _each(f: Callable[[float], float], A: Any) -> np.ndarray:
    values = np.asarray(A, dtype=float)
    return np.array([f(x) for x in values.ravel().tolist()]).reshape(values.shape)
