"""The log of a training run: one JSON object a line, in `DIR/log.jsonl`."""

import json
from pathlib import Path
from typing import Any

from .files import write_whole

NAME = "log.jsonl"


class Log:
    """Appends entries, each of which has a `step`; what a stopped run wrote after its last checkpoint is taken back."""

    def __init__(self, directory: Path, step: int) -> None:
        self.path = directory / NAME
        entries = [entry for entry in read_log(directory) if entry["step"] <= step] if self.path.exists() else []
        write_whole(self.path, "".join(f"{json.dumps(entry)}\n" for entry in entries).encode())

    def write(self, **entry: Any) -> None:
        """Append an entry; it is on its way to the disk when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(entry)}\n")


def read_log(directory: Path) -> list[dict[str, Any]]:
    """The entries of a run's log; a last line that was cut short by a crash is left out.

    Raises:
      FileNotFoundError: there is no log. ValueError: a line that is not the last is no entry.
    """
    path = directory / NAME
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: {directory} holds no training run")
    lines = path.read_text("utf-8").splitlines(keepends=True)
    entries = []
    for number, text in enumerate(lines, start=1):
        try:
            entries.append(_entry(text))
        except ValueError as error:
            if number == len(lines):
                break
            raise ValueError(f"{path}, line {number}: {error}") from None
    return entries


def _entry(text: str) -> dict[str, Any]:
    entry = json.loads(text)
    if not isinstance(entry, dict) or not isinstance(entry.get("step"), int):
        raise ValueError(f"{text.strip()} is no entry: expected an object with a step")
    return entry
