"""Batches of windows over a tokenised corpus, for decoders and encoders, as pure functions of (seed, step).

Documents are packed: a window begins and ends anywhere, and `segments` say which of its tokens belong together. So no
computation is spent on padding and everything has one shape. What it costs is that long documents are seen in parts.
"""

from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .hosts import require_integers, rows_of
from .statistics import statistics
from .token_file import TokenFile

Batch = dict[str, npt.NDArray]


class Windows:
    """Every epoch cuts the corpus into consecutive windows, beginning at another place, and shuffles them.

    Place and order are pure functions of (seed, epoch), so there is nothing to save and nothing to lose. Every window
    of an epoch comes once; a batch at the end of an epoch is filled from the next one.

    Args:
      tokens: the corpus. length: ℓ, tokens of a window. batch_size: B. seed: of the places and the order.
      overlap: how many tokens a window shares with the one before. A decoder predicts all tokens of a window but the
        first, so with 1 each is predicted once an epoch; for an encoder it is 0.
    Raises:
      ValueError: an argument is out of range.
    """

    def __init__(self, tokens: TokenFile, length: int, batch_size: int, seed: int, overlap: int = 1) -> None:
        require_integers(1, length=length, batch_size=batch_size)
        require_integers(0, seed=seed, overlap=overlap)
        if overlap >= length:
            raise ValueError(f"overlap is {overlap}, expected less than the length {length}")
        self._tokens, self._total, self._seed = tokens, len(tokens.ids), seed
        self._batch_size, self._length, self._overlap, self._stride = batch_size, length, overlap, length - overlap
        self._epoch = lru_cache(maxsize=2)(self._drawn)

    @cached_property
    def windows_per_epoch(self) -> int:
        """As many as fit wherever the first one begins, so that all epochs are alike.

        Raises:
          ValueError: the text is shorter than one window.
        """
        if self._total < self._length:
            raise ValueError(
                f"the text has {self._total} tokens, fewer than one window of {self._length}; give more text, or make "
                "l_max smaller"
            )
        return (self._total - self._length - (self._places - 1)) // self._stride + 1

    @property
    def _places(self) -> int:
        """In how many places the first window of an epoch may begin."""
        return min(self._stride, self._total - self._length + 1)

    @property
    def steps_per_epoch(self) -> int:
        """How many steps it takes until every window has come, rounded up. Raises as `windows_per_epoch`."""
        return -(-self.windows_per_epoch // self._batch_size)

    def batch(self, step: int) -> Batch:
        """The batch of a step from 0: `x` (B, ℓ), and `segments` (B, ℓ), which counts documents in each row; int32.

        Raises:
          ValueError: the step is negative, or the text shorter than one window.
        """
        return self.part(step, 0, 1)

    def part(self, step: int, index: int, count: int) -> Batch:
        """The rows of `batch(step)` that host `index` of `count` has; joined in the hosts' order they are the batch.

        Raises:
          ValueError: as `batch`, or B is no multiple of `count`.
        """
        require_integers(0, step=step)
        number = step * self._batch_size + rows_of(index, count, self._batch_size)
        epochs, places = np.divmod(number, self.windows_per_epoch)
        begins = np.empty(len(number), np.int64)
        for epoch in np.unique(epochs):
            first, order = self._epoch(int(epoch))
            begins[epochs == epoch] = first + self._stride * order[places[epochs == epoch]]
        return self._rows(begins[:, None] + np.arange(self._length))

    def _drawn(self, epoch: int) -> tuple[int, npt.NDArray]:
        """Where the first window of an epoch begins, and the order of the windows."""
        rng = np.random.default_rng([self._seed, epoch])
        return int(rng.integers(self._places)), rng.permutation(self.windows_per_epoch)

    def _rows(self, positions: npt.NDArray) -> Batch:
        """The tokens at `positions` (B, ℓ) and the numbers of their documents, from 0 in each row."""
        documents = np.searchsorted(self._tokens.starts, positions, side="right")
        return {
            "x": np.asarray(self._tokens.ids)[positions].astype(np.int32),
            "segments": (documents - documents[:, :1]).astype(np.int32),
        }

    def evaluation(self) -> Iterator[Batch]:
        """All windows of the text from its beginning, in order, to measure on: nothing is left out, nothing twice.

        Yields:
          `x`, `segments` (B, ℓ); `lengths` (B,) int32, the real tokens of each row, at least 1; `counted` (B, ℓ) bool,
          true for each token of the text once. All batches have the same shape: the last window is padded with 0, in
          the segment of its last token, and the last batch with rows of one token that is not counted. A decoder has no
          target in the first place of a row; with overlap 1 its loss by `lengths` counts each of the others once.
        """
        total, columns = self._total, np.arange(self._length)
        windows = max(-(-(total - self._overlap) // self._stride), 1)
        for first in range(0, windows, self._batch_size):
            number = np.arange(first, first + self._batch_size)[:, None]
            positions = np.where(number < windows, self._stride * number, total - 1) + columns
            real = positions < total
            rows = self._rows(np.minimum(positions, total - 1))
            yield {
                "x": rows["x"] * real,
                "segments": rows["segments"],
                "lengths": real.sum(axis=1, dtype=np.int32),
                "counted": real & (number < windows) & ((number == 0) | (columns >= self._overlap)),
            }

    def statistics(self) -> dict[str, Any]:
        """`statistics` of the corpus."""
        return statistics(self._tokens)
