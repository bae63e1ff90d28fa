"""How fast a run is: tokens a second, and that as a share of what the machine can do."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .configuration import Configuration
from .machine import operations_per_token, products_per_second


class Clock:
    """Counts the tokens and the seconds of training; evaluations and checkpoints are not counted."""

    def __init__(self, c: Configuration, params: Any) -> None:
        self._share = operations_per_token(c, params) / products_per_second()
        self._tokens = 0
        self._seconds = 0.0
        self._since = time.perf_counter()

    def count(self, batch: dict[str, Any]) -> None:
        """A batch is about to be trained on; padding is not counted."""
        lengths = [batch[name].sum() for name in ("z_lengths", "x_lengths") if name in batch]
        self._tokens += int(sum(lengths)) if lengths else batch["x"].size

    def rates(self) -> dict[str, float]:
        """Tokens a second since it was last asked, and the share of the machine's limit that this is."""
        with self.paused():
            rate = self._tokens / max(self._seconds, 1e-9)
            self._tokens, self._seconds = 0, 0.0
        return {"tokens_per_second": rate, "share_of_limit": rate * self._share}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is done meanwhile is not training."""
        self._seconds += time.perf_counter() - self._since
        yield
        self._since = time.perf_counter()
