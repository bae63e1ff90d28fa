"""Checkpoints of a training run: written whole or not at all, and known to be whole before they are believed.

A checkpoint is a directory named after its step. Its `state` is Orbax's, `record.json` says what belongs to it, and
`manifest.json` has size and SHA-256 of every file. All this is written under another name, read back, and renamed: what
has a step's name was complete, and the manifest shows whether it still is.

Saving waits until the disk has everything, which for a state of 60 MB is a third of a second. Decided against: saving
in the background, which would need a second copy of the state and a place for errors that come late.
"""

import json
import math
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .arrays import apart, as_before, as_numpy, read_arrays, same_bits, write_arrays
from .files import fault, reason, require_space, sync, write_manifest, write_whole
from .outline import by_name, difference, outline

STATE, RECORD = "state", "record.json"
LEFTOVER = re.compile(r"\d+\.(writing|removed)")  # of a process that was killed while it saved


class CheckpointError(OSError):
    """A checkpoint could not be written, or none of those that exist is whole."""


@dataclass(frozen=True)
class Restored:
    """What a checkpoint held.

    Attributes:
      step: the step after which it was written. state: the pytree. record: what was saved with it.
      problems: a sentence for every newer checkpoint that had to be passed over.
    """

    step: int
    state: Any
    record: dict[str, Any]
    problems: list[str]


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run.

    At any time one process at most may save (`lock.only_writer`); any number may restore.

    Args:
      directory: where they are; it is made when the first is saved.
      keep_last: how many of the newest are kept, at least 1.
      keep_best: keep the one with the smallest loss as well.
    """

    directory: Path
    keep_last: int = 2
    keep_best: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "directory", Path(self.directory))
        if self.keep_last < 1:
            raise ValueError(f"keep_last is {self.keep_last}, expected at least 1")

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, whole or not, in ascending order."""
        if not self.directory.is_dir():
            return []
        return sorted(int(path.name) for path in self.directory.iterdir() if path.name.isdecimal())

    def best(self) -> int | None:
        """The step whose checkpoint has the smallest held-out loss; None if no checkpoint has one."""
        return self._best(self.steps())

    def save(self, step: int, state: Any, record: dict[str, Any], loss: float | None = None) -> None:
        """Saves a checkpoint; then, and only if it can be read back to the same bits, removes those not to be kept.

        Args:
          step: updates so far; more than the newest whole checkpoint has. state: a pytree of arrays, keys included.
          record: what else belongs to it, for JSON. loss: held-out, if it is known.
        Raises:
          TypeError: a leaf is no array, or the record is nothing for JSON.
          ValueError: the step is no number of updates, or has a whole checkpoint already, as has a later one.
          CheckpointError: it could not be written, for lack of space for one. The others are still there.
          KeyboardInterrupt: when it is written, if Ctrl-C was pressed before.
        """
        number: Any = step
        if not isinstance(number, int) or number < 0:
            raise ValueError(f"step is {number!r}, expected an integer of at least 0")
        named = by_name(state)
        saved = {"step": step, "loss": loss, "record": record, "arrays": outline(named)}
        text = json.dumps(saved, indent=1)
        for other in self.steps():
            if other >= step and fault(self._path(other)) is None:
                raise ValueError(f"step {step} cannot be saved: {self.directory} has a checkpoint of step {other}")
        try:
            apart(self._write, step, {name: as_numpy(leaf) for name, leaf in named.items()}, text)
        except (OSError, ValueError, RuntimeError) as error:
            raise CheckpointError(self._not_written(step, error)) from error
        self._keep(step)

    def restore(self, like: Any, step: int | None = None) -> Restored | None:
        """The newest checkpoint that is whole, or the one of a given step; None if there are no checkpoints.

        Args:
          like: a pytree of the same structure, shapes and dtypes; a `jax.ShapeDtypeStruct` will do for an array that is
            no key. Arrays go where its arrays are, to several devices if these are.
        Raises:
          CheckpointError: none is whole, or the one asked for is not; says what is wrong with each.
          ValueError: it is a checkpoint of another configuration; names the first array that differs, and how.
        """
        problems: list[str] = []
        named = by_name(like)
        steps = self.steps()
        if step is not None and step not in steps:
            raise CheckpointError(f"{self.directory} has no checkpoint of step {step}; it has those of steps {steps}")
        for candidate in reversed(steps if step is None else [step]):
            wrong = fault(self._path(candidate))
            if wrong is None:
                return self._read(candidate, like, named, problems)
            problems.append(f"the checkpoint of step {candidate} in {self.directory} is not whole: {wrong}")
        if problems:
            raise CheckpointError("no checkpoint can be restored: " + "; ".join(problems))
        return None

    def _path(self, step: int) -> Path:
        return self.directory / str(step)

    def _best(self, steps: list[int]) -> int | None:
        losses = {step: self._loss(step) for step in steps}
        finite = {step: loss for step, loss in losses.items() if loss is not None and math.isfinite(loss)}
        return min(finite, key=finite.__getitem__, default=None)

    def _loss(self, step: int) -> float | None:
        try:
            return json.loads((self._path(step) / RECORD).read_bytes())["loss"]
        except (OSError, ValueError, KeyError, TypeError):  # it is not whole: `restore` says so
            return None

    def _read(self, step: int, like: Any, named: dict[str, Any], problems: list[str]) -> Restored:
        saved = json.loads((self._path(step) / RECORD).read_bytes())
        differs = difference(saved["arrays"], outline(named))
        if differs is not None:
            raise ValueError(
                f"the checkpoint of step {step} in {self.directory} is one of another configuration: {differs}"
            )
        arrays = apart(read_arrays, self._path(step) / STATE, named)
        leaves = [as_before(arrays[name], leaf) for name, leaf in named.items()]
        return Restored(step, jax.tree.unflatten(jax.tree.structure(like), leaves), saved["record"], problems)

    def _write(self, step: int, arrays: dict[str, np.ndarray], text: str) -> None:
        self._clean()
        temporary = self.directory / f"{step}.writing"
        temporary.mkdir(parents=True)
        try:
            require_space(self.directory, sum(array.nbytes for array in arrays.values()) + len(text))
            write_arrays(temporary / STATE, arrays)
            write_whole(temporary / RECORD, text.encode())
            write_manifest(temporary)
            for name, array in read_arrays(temporary / STATE, arrays).items():
                if not same_bits(array, arrays[name]):
                    raise OSError(f"{name} is read back with other bits than were written")
            self._remove([step])  # what is there is not whole
            temporary.rename(self._path(step))
            sync(self.directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _keep(self, step: int) -> None:
        """Removes what is neither among the last nor the best. What is later than `step` is not whole."""
        steps = self.steps()
        until = [other for other in steps if other <= step]
        kept = {*until[-self.keep_last :], self._best(until) if self.keep_best else step}
        self._remove([other for other in steps if other not in kept])

    def _remove(self, steps: list[int]) -> None:
        for step in steps:
            if self._path(step).exists():
                removed = self._path(step).rename(self.directory / f"{step}.removed")  # not by halves
                shutil.rmtree(removed)

    def _clean(self) -> None:
        if self.directory.is_dir():
            for path in self.directory.iterdir():
                if LEFTOVER.fullmatch(path.name):
                    shutil.rmtree(path)

    def _not_written(self, step: int, error: BaseException) -> str:
        good = next((s for s in reversed(self.steps()) if fault(self._path(s)) is None), None)
        last = "there is no earlier one" if good is None else f"the last good checkpoint is that of step {good}"
        return f"the checkpoint of step {step} was not written to {self.directory}: {reason(error)}; {last}"
