"""A gradient by differences at a few places: enough to see that two losses differ, in a tenth of the time."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..crosscheck import pseudocode


class MoreUpdates(Exception):
    """There is a second update, which needs all of the first one's gradient."""


def sampled_differences(every: int) -> Callable[[Callable[..., Any], Any], Any]:
    """A `gradient(loss, theta)` for Algorithms 11 to 13 that knows one entry of every `every`-th array.

    The others are infinite, and so is what is updated with them: no loss has such a gradient. It serves one update.

    Raises:
      MoreUpdates: when it is asked a second time.
    """
    asked = False

    def gradient(loss: Callable[..., Any], theta: Any) -> Any:
        nonlocal asked
        if asked:
            raise MoreUpdates
        asked = True
        notation = pseudocode.module("notation")
        rng = np.random.default_rng(every)
        h = 1e-5
        result = notation.combine(lambda W: np.full_like(W, np.inf), theta)
        pairs = list(zip(notation.arrays(theta), notation.arrays(result), strict=True))
        for W, G in pairs[::-every]:
            i = np.unravel_index(rng.integers(W.size), W.shape)
            w = W[i]
            W[i] = w + h
            above = loss(theta)
            W[i] = w - h
            below = loss(theta)
            W[i] = w
            G[i] = (above - below) / (2 * h)
        return result

    return gradient
