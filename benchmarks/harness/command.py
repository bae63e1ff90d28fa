"""The command line of a benchmark: runs it, prints each line as it comes, and keeps the lines in its file."""

import argparse
from collections.abc import Callable, Iterable

from .records import written
from .results import Record, key, merged, read, write
from .settings import Settings

QUICK_ROUNDS = 3


def command(benchmark: str, measure: Callable[[Settings], Iterable[Record]], description: str | None) -> None:
    """Runs `measure` with the settings that the command line asks for.

    A full run replaces the benchmark's file. With --only the other lines stay.
    """
    settings = _settings(benchmark, description)
    path = settings.results / f"{benchmark}.json"
    old, new = read(path), []
    for record in measure(settings):
        new.append(record)
        write(path, merged(old, new))
        print(said(record), flush=True)
    if not settings.only:
        write(path, new)
    if not new:
        raise SystemExit(f"benchmarks.{benchmark}: no case has {settings.only!r} in its name")
    if len({key(record) for record in new}) < len(new):
        raise SystemExit(f"benchmarks.{benchmark}: two lines of results are about the same")


def _settings(benchmark: str, description: str | None) -> Settings:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{benchmark}", description=description)
    parser.add_argument("--quick", action="store_true", help="few rounds, few cases; other results stay as they are")
    parser.add_argument("--rounds", type=int, help=f"turns of each rival; 7, or {QUICK_ROUNDS} if quick")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases whose name contains it")
    given = parser.parse_args()
    return Settings(given.quick, given.rounds or (QUICK_ROUNDS if given.quick else 7), given.only)


def said(record: Record) -> str:
    """A line of results for people."""
    head = f"{record['benchmark']}, {record['case']}, against {record['rival']}: "
    if "absent" in record:
        return f"{head}not measured: {record['absent']}"
    parts = [written(record)]
    if record["measure"] == "speed":
        ours, rival = (record["seconds"][who]["median"] for who in ("ours", "rival"))
        parts.append(f"{ours:.4g} s, rival {rival:.4g} s")
    if record.get("share_of_limit") is not None:
        rate = f"{record['limit_rate'] / 1e9:.0f} G{record['limit_unit']}"
        parts.append(f"{record['share_of_limit']:.0%} of the {record['limit']} limit, {rate}")
    return head + "; ".join(parts)
