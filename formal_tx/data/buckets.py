"""Batches of pairs padded by length bucket, for encoder-decoders, as pure functions of (seed, step)."""

from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .hosts import require_integers, rows_of
from .statistics import statistics
from .token_file import PairFile

Batch = dict[str, npt.NDArray]

MOST, GROWTH, ROUND = 8, 1.4, 8  # at most 8 lengths, each about 1.4 times the one before, multiples of 8


class Buckets:
    """Pairs of like length together, padded to one of a few shapes, so that little is compiled.

    A pair is as long as its longer side. Each epoch shuffles the pairs of a bucket, cuts them into batches, and lets
    those that are left go with the next longer bucket; then it shuffles the batches. All of it is a pure function of
    (seed, epoch). Every pair comes once an epoch, except fewer than one batch at the end of the longest bucket.

    Args:
      pairs: the corpus. seed: of the composition of the batches and of their order.
      batch_size: B of all batches; or
      tokens_per_batch: B · ℓ at most, so that B is larger where the pairs are shorter; no larger than the corpus.
      l_max: the largest ℓ; that of the corpus if it is not given.
      multiple: B is a multiple of this, such as the number of hosts.
    Attributes:
      shapes: (B, ℓ) of each bucket, shortest first.
    Raises:
      ValueError: a pair is longer than `l_max`, or an argument is out of range.
    """

    def __init__(
        self,
        pairs: PairFile,
        *,
        seed: int,
        batch_size: int | None = None,
        tokens_per_batch: int | None = None,
        l_max: int | None = None,
        multiple: int = 1,
    ) -> None:
        require_integers(0, seed=seed)
        require_integers(1, multiple=multiple)
        l_max = pairs.l_max if l_max is None else l_max
        if pairs.longest > l_max:
            raise ValueError(f"l_max is {l_max}, expected at least {pairs.longest}, the tokens of the longest pair")
        self._pairs, self._seed = pairs, seed
        lengths = sorted({_rounded(pairs.longest / GROWTH**k, l_max) for k in range(MOST)})
        sizes = _sizes(lengths, batch_size, tokens_per_batch, multiple, pairs.documents)
        self.shapes = list(zip(sizes, lengths, strict=True))
        longer = np.diff(pairs.starts).reshape(-1, 2).max(axis=1)
        bucket = np.searchsorted(lengths, longer)
        self._members = [np.flatnonzero(bucket == b) for b in range(len(lengths))]
        self._epoch = lru_cache(maxsize=2)(self._drawn)

    @cached_property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has; all have as many.

        Raises:
          ValueError: there are fewer pairs than one batch has.
        """
        steps = len(self._epoch(0))
        if not steps:
            raise ValueError(
                f"there are {self._pairs.documents} pairs, too few for a batch of {self.shapes[-1][0]}; give more "
                "pairs, or a smaller batch"
            )
        return steps

    def batch(self, step: int) -> Batch:
        """The batch of a step from 0: `z`, `x` (B, ℓ), `z_lengths`, `x_lengths` (B,), all int32, padded with 0.

        Raises:
          ValueError: the step is negative, or there are fewer pairs than one batch has.
        """
        return self.part(step, 0, 1)

    def part(self, step: int, index: int, count: int) -> Batch:
        """The rows of `batch(step)` that host `index` of `count` has; joined in the hosts' order they are the batch.

        Raises:
          ValueError: as `batch`, or B is no multiple of `count`.
        """
        require_integers(0, step=step)
        epoch, place = divmod(step, self.steps_per_epoch)
        bucket, chosen = self._epoch(epoch)[place]
        batch_size, length = self.shapes[bucket]
        return self._padded(chosen[rows_of(index, count, batch_size)], length)

    def _drawn(self, epoch: int) -> list[tuple[int, npt.NDArray]]:
        """The batches of an epoch in order: bucket and pairs of each."""
        rng = np.random.default_rng([self._seed, epoch])
        batches, _ = self._batches(rng.permutation)
        return [batches[i] for i in rng.permutation(len(batches))]

    def _batches(
        self, arranged: Callable[[npt.NDArray], npt.NDArray]
    ) -> tuple[list[tuple[int, npt.NDArray]], npt.NDArray]:
        """Full batches, as (bucket, pairs), and the pairs left at the end of the last bucket."""
        batches: list[tuple[int, npt.NDArray]] = []
        rest = np.zeros(0, np.int64)
        for bucket, (own, (batch_size, _)) in enumerate(zip(self._members, self.shapes, strict=True)):
            pairs = arranged(np.concatenate([rest, own]))
            full = len(pairs) // batch_size * batch_size
            batches += [(bucket, chosen) for chosen in pairs[:full].reshape(-1, batch_size)]
            rest = pairs[full:]
        return batches, rest

    def evaluation(self) -> Iterator[Batch]:
        """All pairs, shortest first, to measure on: nothing is left out, nothing comes twice.

        Yields:
          What `batch` gives. The last one is padded with rows whose `x` is bos_token alone: nothing to score in it.
        """
        batches, rest = self._batches(lambda pairs: pairs)
        for bucket, chosen in batches:
            yield self._padded(chosen, self.shapes[bucket][1])
        if len(rest):
            batch_size, length = self.shapes[-1]
            yield self._padded(np.resize(rest, batch_size), length, real=len(rest))

    def _padded(self, chosen: npt.NDArray, length: int, real: int | None = None) -> Batch:
        """The chosen pairs; of those after the first `real` only the eos_token of z and the bos_token of x."""
        begin, middle, end = (np.asarray(self._pairs.starts)[2 * chosen + side] for side in range(3))
        if real is not None:
            begin[real:], end[real:] = middle[real:] - 1, middle[real:] + 1
        z, z_lengths = _right_padded(self._pairs, begin, middle, length)
        x, x_lengths = _right_padded(self._pairs, middle, end, length)
        return {"z": z, "z_lengths": z_lengths, "x": x, "x_lengths": x_lengths}

    def statistics(self) -> dict[str, Any]:
        """`statistics` of the corpus."""
        return statistics(self._pairs)


def _rounded(length: float, most: int) -> int:
    return min(int(-(-length // ROUND)) * ROUND, most)


def _sizes(
    lengths: list[int], batch_size: int | None, tokens_per_batch: int | None, multiple: int, pairs: int
) -> list[int]:
    """B for each length."""
    if batch_size is not None and tokens_per_batch is None:
        require_integers(1, batch_size=batch_size)
        if batch_size % multiple:
            raise ValueError(f"batch_size is {batch_size}, expected a multiple of {multiple}")
        return [batch_size] * len(lengths)
    if tokens_per_batch is not None and batch_size is None:
        require_integers(lengths[-1] * multiple, tokens_per_batch=tokens_per_batch)  # room for the longest pairs
        rows = (min(tokens_per_batch // length, max(pairs, multiple)) for length in lengths)
        return [n // multiple * multiple for n in rows]
    raise ValueError(f"batch_size is {batch_size} and tokens_per_batch {tokens_per_batch}, expected one of them")


def _right_padded(
    pairs: PairFile, begin: npt.NDArray, end: npt.NDArray, length: int
) -> tuple[npt.NDArray, npt.NDArray]:
    """Stretches of tokens as rows (B, ℓ), and their lengths (B,)."""
    positions = begin[:, None] + np.arange(length)
    ids = np.asarray(pairs.ids)[np.minimum(positions, end[:, None] - 1)]
    return np.where(positions < end[:, None], ids, 0).astype(np.int32), (end - begin).astype(np.int32)
