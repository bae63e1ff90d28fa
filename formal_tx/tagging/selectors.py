"""Selectors: a line by as much of its path as tells it apart, and one layer or head of it by its index.

The parts of a selector occur in this order among those of the path. The last is the variable, `4.S`, or `S` for the
last line that assigns it. An integer behind the name of an axis picks one of its entries: `layers/3/heads/0/S`.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from .places import Site


class SelectorError(ValueError, KeyError):
    """A selector that names nothing, or more than one line, or an entry that there is not."""

    __str__ = ValueError.__str__  # a KeyError would show its message in quotes


class Selection(NamedTuple):
    """What a selector picks: a line, and the entries of some of its axes, by the number of the axis from the end."""

    selector: str
    site: Site
    entries: dict[int, int]

    def within(self, shape: Sequence[int]) -> "Selection":
        """The same for an array of this shape, with entries that count from the end counted from 0.

        Raises:
          SelectorError: for an entry that is out of range, naming the range.
        """
        for axis, i in self.entries.items():
            size = shape[axis]
            if not -size <= i < size:
                name = next(segment.name for segment in self.site.segments if segment.axis == axis)
                raise SelectorError(
                    f"{self.selector!r}: {name}/{i} is out of range, expected 0 to {size - 1} for {self.site.path}"
                )
        return self._replace(entries={axis: i % shape[axis] for axis, i in self.entries.items()})


def at(entries: Mapping[int, int]) -> tuple[Any, ...]:
    """The index of these entries, by the number of the axis from the end."""
    return (..., *(entries.get(axis, slice(None)) for axis in range(min(entries, default=0), 0)))


def resolve(selector: str, sites: Mapping[str, Site]) -> Selection:
    """The one line that a selector names.

    Raises:
      TypeError: if it is no string.
      SelectorError: if it names none, with the nearest names, or several, with all of them.
    """
    if not isinstance(selector, str):
        raise TypeError(f"a selector is of type {type(selector).__name__}, expected a string such as 'layers/0/S'")
    if selector in sites:
        return Selection(selector, sites[selector], {})
    parts = _parse(selector)
    found = {path: match for path, site in sites.items() if (match := _match(parts, site)) is not None}
    found = {path: found[path] for path in _last(parts[-1][0], found)}
    if len(found) > 1:
        listed = "\n  ".join(spelled(sites[path], sites.values()) for path in found)
        raise SelectorError(f"{selector!r} names {len(found)} lines, expected one of them:\n  {listed}")
    if not found:
        raise SelectorError(f"{selector!r} {_what_is_wrong(parts, sites.values())}")
    ((path, entries),) = found.items()
    return Selection(selector, sites[path], entries)


def spelled(site: Site, among: Iterable[Site]) -> str:
    """A line's whole selector; the first of several calls of a function has `#1`."""
    numbered = {segment.name for other in among for segment in other.segments if "#" in segment.name}
    *names, label = (segment.name for segment in site.segments)
    return "/".join([*(f"{name}#1" if f"{name}#2" in numbered else name for name in names), label])


Part = tuple[str, int | None]


def _parse(selector: str) -> list[Part]:
    """The parts of a selector, each with the index behind it."""
    parts: list[Part] = []
    for text in selector.split("/"):
        if not text.removeprefix("-").isdecimal():
            parts.append((text, None))
        elif not parts or parts[-1][1] is not None:
            raise SelectorError(f"{selector!r}: {text} follows no name, expected an axis, as in layers/{text}")
        else:
            parts[-1] = (parts[-1][0], int(text))
    if parts[-1][1] is not None or not all(name for name, _ in parts):
        raise SelectorError(f"{selector!r}: expected names with / between them, of which the last is a variable's")
    return parts


def _match(parts: Sequence[Part], site: Site) -> dict[int, int] | None:
    """The entries that are picked if the parts occur in this order in the path; None if they do not."""
    *names, (variable, _) = parts
    *segments, label = site.segments
    if not _is_variable(variable, label.name):
        return None
    left, entries = iter(segments), {}
    for name, i in names:
        segment = next((s for s in left if _is_called(name, s.name) and (i is None or s.axis is not None)), None)
        if segment is None:
            return None
        if i is not None and segment.axis is not None:
            entries[segment.axis] = i
    return entries


def _is_called(name: str, segment: str) -> bool:
    """`name` is each call of a function, `name#1` the first, `name#2` the second."""
    return name in (segment, segment.partition("#")[0]) or name == f"{segment}#1"


def _is_variable(name: str, label: str) -> bool:
    """`4.S` and `S` are each the label `4.S`, and `4.S#2`, where the line is run again."""
    return _is_called(name, label) or _is_called(name, label.partition(".")[2])


def _last(variable: str, paths: Iterable[str]) -> list[str]:
    """Without those of a function's lines after which there is another of the same function."""
    last: dict[str, str] = {}
    paths = list(paths)
    for path in paths:
        function, _, label = path.rpartition("/")
        last[function] = label.partition("#")[0]
    return [path for path in paths if last[path.rpartition("/")[0]] == path.rpartition("/")[2].partition("#")[0]]


def _what_is_wrong(parts: Sequence[Part], sites: Iterable[Site]) -> str:
    sites = list(sites)
    if not sites:
        return "names no line: none is tagged"
    *names, (variable, _) = parts
    functions = {s.name.partition("#")[0] for site in sites for s in site.segments[:-1]}
    variables = {name for site in sites for name in _spellings(site.segments[-1].name)}
    for name, _ in names:
        if name.partition("#")[0] not in functions:
            return f"names no line: there is no {name!r}, {_nearest(name, functions)}"
    if not any(_is_variable(variable, site.segments[-1].name) for site in sites):
        return f"names no line: no line assigns {variable!r}, {_nearest(variable, variables)}"
    if any(_match([(name, None) for name, _ in parts], site) is not None for site in sites):
        name, i = next(part for part in names if part[1] is not None)
        return f"picks entry {i} of {name!r}, which is not the name of an axis there"
    whole = [spelled(site, sites) for site in sites if _is_variable(variable, site.segments[-1].name)]
    return "names no line, expected one of:\n  " + "\n  ".join(whole)


def _spellings(label: str) -> tuple[str, str]:
    return label, label.partition(".")[2].partition("#")[0]


def _nearest(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"expected one of {', '.join(known)}"
