"""Lines of results: one JSON object a line, benchmarks/results/NAME.json."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"
REQUIRED = ("benchmark", "case", "rival", "commit", "code", "machine", "date")

Record = dict[str, Any]
Key = tuple[str, str, str]


def key(record: Mapping[str, Any]) -> Key:
    """What a line is about: of two with the same key the newer counts."""
    return record["benchmark"], record["case"], record["rival"]


def read(path: Path) -> list[Record]:
    """The lines of a file; none if there is no such file.

    Raises:
      ValueError: a line is no JSON object, or lacks an entry; names file and line.
    """
    if not path.exists():
        return []
    records = []
    for n, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}:{n}: not JSON: {error}") from None
        if not isinstance(record, dict):
            raise ValueError(f"{path}:{n}: {type(record).__name__} {line[:40]!r}, expected a JSON object")
        number_or_reason = "absent" if "absent" in record else "measure"
        missing = [name for name in (*REQUIRED, number_or_reason) if name not in record]
        if missing:
            raise ValueError(f"{path}:{n}: the line has no {', '.join(missing)}")
        records.append(record)
    return records


def read_all(directory: Path = RESULTS) -> list[Record]:
    """The lines of all files in a directory, by name of the file. Raises as `read`."""
    return [record for path in sorted(directory.glob("*.json")) for record in read(path)]


def write(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """A line for each record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")


def merged(old: Iterable[Record], new: Iterable[Record]) -> list[Record]:
    """The old lines with those of the new ones in place of, or after, those that have their key."""
    lines = {key(record): record for record in old}
    return list((lines | {key(record): record for record in new}).values())
