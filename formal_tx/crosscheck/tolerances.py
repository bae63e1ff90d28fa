"""How far two editions may differ in a dtype, relative to the largest value of the line: one table for everything."""

import numpy as np

EXACT = {"float64": 1e-12, "float32": 2e-6}
"""The tolerance of a sum of one term; a sum of n terms has √n times that, except in float64, where nothing needs it."""

FOREIGN = {"float64": 1e-10, "float32": 2e-5, "float16": 8e-3, "bfloat16": 6e-2}
"""For a function that is not ours, which may sum and scale in another order: in float64 a mistake is far larger.

In float16 and bfloat16, of 11 and 8 bits, it is sixteen times the unit in the last place: attention, layer norm and
softmax round several times each. Small mistakes do not show there.
"""

DIFFERENCES = 1e-6
"""What central differences in float64 leave of a gradient, for Algorithms 11 to 13."""


def tolerance(dtype: str, terms: int, *, by_differences: bool = False, foreign: bool = False) -> float:
    """The tolerance for a line that sums over `terms` terms."""
    bound = (FOREIGN if foreign else EXACT)[dtype] * (terms**0.5 if dtype == "float32" else 1.0)
    return max(bound, DIFFERENCES) if by_differences else bound


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference relative to the largest expected value; infinite where one is finite and one is not.

    nan agrees with nan, and an infinity with the same infinity: the paper's -∞ and its 0/0 are values to be matched.
    """
    if found.shape != expected.shape:
        return np.inf
    if expected.size == 0:
        return 0.0
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    finite = np.isfinite(expected)
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    if not np.all(np.where(finite, np.isfinite(found), same)):
        return np.inf
    if not finite.any():
        return 0.0
    largest = np.max(np.abs(expected[finite]))
    difference = np.max(np.abs(found[finite] - expected[finite]))
    return float(difference / largest) if largest > 0 else float(difference)
