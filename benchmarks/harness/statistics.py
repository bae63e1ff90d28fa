"""From seconds to what is reported: ratios round by round, their quartiles, and the exponent of a growth."""

import statistics
from collections.abc import Sequence

import numpy as np


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The first quartile, the median and the third; of a single value, it three times.

    Raises:
      ValueError: there is no value.
    """
    if not values:
        raise ValueError("quartiles: there are no values, expected at least one")
    if len(values) == 1:
        return values[0], values[0], values[0]
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, median, third


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """How many times as fast as a rival we are in each round: its seconds by ours.

    A moment in which the machine is busy falls on neighbours in a round, and so cancels.

    Raises:
      ValueError: there are not as many rounds of one as of the other, or a time is not greater than 0.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"ratios: {len(ours)} rounds of ours and {len(theirs)} of the rival's, expected as many")
    if min(*ours, *theirs) <= 0:
        raise ValueError(f"ratios: a time is {min(*ours, *theirs)}, expected seconds greater than 0")
    return [b / a for a, b in zip(ours, theirs, strict=True)]


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """p of the power law c · size^p that is nearest to the values: the slope of a straight line in logarithms.

    Raises:
      ValueError: there are fewer than two sizes, not as many values, or one is not greater than 0.
    """
    if len(sizes) != len(values) or len(set(sizes)) < 2:
        raise ValueError(f"exponent: {len(sizes)} sizes and {len(values)} values, expected as many, and at least two")
    if min(*sizes, *values) <= 0:
        raise ValueError("exponent: a size or a value is not greater than 0, and has no logarithm")
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
