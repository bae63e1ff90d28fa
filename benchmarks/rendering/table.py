"""The table of README.md: what was measured, and whether it is what it should be."""

from collections import Counter
from collections.abc import Mapping, Sequence

from ..harness.records import written
from ..harness.results import Record
from .bars import Bar

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
HEAD = ("what", "against", "measured (quartiles)", "share of the limit", "goal (at least accepted)", "met?")
VERDICTS = {"goal": "yes", "floor": "accepted", "missed": "**no**", "not measured": "not measured", "": ""}


def table(records: Sequence[Record], titles: Mapping[str, str], bars: Sequence[Bar], code: str) -> str:
    """The results as Markdown: a row for each line of results, and for each bar of which there is none.

    Args:
      titles: of benchmarks, in their order. code: the fingerprint of the library as it is; a line that was measured
        with another one is marked with its commit.
    """
    lines = [_row(HEAD), _row(["---"] * len(HEAD))]
    for benchmark, title in titles.items():
        of_it = [record for record in records if record["benchmark"] == benchmark]
        missing = [bar for bar in bars if bar.benchmark == benchmark and not any(map(bar.concerns, of_it))]
        if of_it or missing:
            lines.append(_row([f"**{title}**", *[""] * (len(HEAD) - 1)]))
        lines += [_measured(record, bars, code) for record in of_it]
        lines += [_missing(bar) for bar in missing]
    return "\n".join([*lines, "", *_footnotes(records, bars, code), ""])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '∣') for cell in cells)} |"


def _measured(record: Record, bars: Sequence[Bar], code: str) -> str:
    own = [bar for bar in bars if bar.concerns(record)]
    found = f"not measured: {record['absent']}" if "absent" in record else written(record)
    if record["code"] != code:
        found += f" †{record['commit']}"
    verdicts = "; ".join(VERDICTS[bar.verdict(record)] for bar in own)
    share, goals = _share(record), "; ".join(map(str, own))
    return _row([record["case"], record["rival"] or "ours alone", found, share, goals, verdicts])


def _share(record: Record) -> str:
    if record.get("share_of_limit") is None:
        return ""
    rate = f"{record['limit_rate'] / 1e9:.0f} G{record['limit_unit']}"
    return f"{record['share_of_limit']:.0%} of {record['limit']}, {rate}"


def _missing(bar: Bar) -> str:
    return _row([bar.case.replace("*", "…"), bar.rival or "ours alone", "", "", str(bar), "not measured"])


def _footnotes(records: Sequence[Record], bars: Sequence[Bar], code: str) -> list[str]:
    """How many bars are met, where it was measured, and what the mark means if there is one."""
    verdicts = Counter(bar.worst(records) for bar in bars)
    counts = ", ".join(f"{verdicts[name]} {said}" for name, said in _COUNTED.items() if verdicts[name])
    notes = [f"Of {len(bars)} bars {counts}. “× as fast” is a rival's time by ours, round by round, both in turns."]
    for n, (where, times) in enumerate(sorted(Counter(map(_where, records)).items(), key=lambda one: -one[1])):
        notes.append(f"{'Measured' if not n else 'Elsewhere'} on {where}: {times} lines.")
    if any(record["code"] != code for record in records):
        notes.append("† measured with the code of another commit, which it names (a + stands for changes since).")
    return ["\n".join(notes)]


_COUNTED = {
    "goal": "are reached",
    "floor": "are accepted",
    "missed": "are missed",
    "not measured": "are not (wholly) measured",
}


def _where(record: Record) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items())
    return f"{record['machine']}, {record.get('threads', '?')} used; {versions}"


def inserted(document: str, generated: str, begin: str = BEGIN, end: str = END) -> str:
    """The document with what is generated between the two comments.

    Raises:
      ValueError: it has not both of them, once and in this order.
    """
    if document.count(begin) != 1 or document.count(end) != 1 or document.index(begin) > document.index(end):
        raise ValueError(f"the document has not exactly one {begin!r} before one {end!r}, expected that")
    before, _, rest = document.partition(begin)
    return f"{before}{begin}\n\n{generated}\n{end}{rest.partition(end)[2]}"
