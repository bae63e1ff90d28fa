"""Where a value is tagged: the path that leads to its line, and what its axes are called.

The names come from the jaxpr: those of jitted functions from their equations, those of scopes (`jax.named_scope`,
`stacked`) from the stack of names that every equation carries.
"""

import re
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

_STACKED = re.compile(r"(\w+)\[(-\d+)?\]")


class Segment(NamedTuple):
    """One part of a path, and, if it names an axis of the value, which one, counted from the end."""

    name: str
    axis: int | None = None


class Site(NamedTuple):
    """A line that is run.

    Attributes:
      path: the jitted functions that lead to it, then the line: `mh_attention/attention/4.S`. No two have the same.
      segments: the same with scopes and axes: `layers`, `mh_attention`, `attention`, `heads`, `4.S`.
      loops: in how many scans it is; the value's first axes are theirs.
      used: whether what is tagged is looked at by anything afterwards.
    """

    path: str
    segments: tuple[Segment, ...]
    loops: int
    used: bool


@dataclass(frozen=True)
class Place:
    """Where an evaluation is: the functions, scopes and scans around an equation.

    Attributes:
      path: the jitted functions, each with `/` behind it.
      names: the functions and scopes, each with the number of the scan whose iterations it names, or None.
      axes: the named axes of the values themselves.
      scans: of each scan around it, from outermost to innermost, the number of the iteration, or None.
    """

    path: str = ""
    names: tuple[tuple[str, int | None], ...] = ()
    axes: tuple[Segment, ...] = ()
    scans: tuple[Any, ...] = ()

    def within(self, scope: str) -> "Place":
        """Inside a scope."""
        if stacked := _STACKED.fullmatch(scope):
            if stacked[2]:
                return replace(self, axes=(*self.axes, Segment(stacked[1], int(stacked[2]))))
            scan = len(self.scans) - 1 if self.scans else None  # none: what is the same for all was moved out of it
            return replace(self, names=(*self.names, (stacked[1], scan)))
        return replace(self, names=(*self.names, *((name, None) for name in scope.split("/"))))

    def inside(self, function: str) -> "Place":
        """Inside a jitted function."""
        return replace(self, path=f"{self.path}{function}/", names=(*self.names, (function, None)))

    def iteration(self, i: Any) -> "Place":
        """Inside a scan, in iteration `i`, or in one of which the number is not needed."""
        return replace(self, scans=(*self.scans, i))

    def site(self, path: str, ndim: int, batch_ndim: int, used: bool) -> Site:
        """A line here, whose value has `ndim` axes of its own and `batch_ndim` that `vmap` has added."""
        loops = len(self.scans)
        total = loops + batch_ndim + ndim
        names = [Segment(name, None if scan is None else scan - total) for name, scan in self.names]
        axes = [axis for axis in self.axes if axis.axis is not None and axis.axis >= -ndim]
        return Site(path, (*names, *axes, Segment(path.removeprefix(self.path))), loops, used)
