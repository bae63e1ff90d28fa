"""Dividing batches among hosts, and the check of counts that all batches need."""

from typing import Any

import numpy as np
import numpy.typing as npt


def require_integers(at_least: int, **values: Any) -> None:
    """Raises unless each is an integer of at least so much."""
    for name, value in values.items():
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < at_least:
            raise ValueError(f"{name} is {value!r}, expected an integer of at least {at_least}")


def rows_of(index: int, count: int, batch_size: int) -> npt.NDArray[np.int64]:
    """The rows of a batch that host `index` of `count` has: as many as any other, in order of the hosts.

    Raises:
      ValueError: the rows cannot be divided so, or there is no such host.
    """
    require_integers(1, count=count)
    if batch_size % count:
        raise ValueError(f"a batch of {batch_size} rows cannot be divided among {count} hosts")
    if not 0 <= index < count:
        raise ValueError(f"the host is {index!r}, expected one of 0..{count - 1}")
    share = batch_size // count
    return np.arange(index * share, (index + 1) * share)
