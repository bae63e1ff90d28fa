"""Two mistakes at once."""

import time
from collections.abc import Iterator

from .evidence import Evidence, Explanation
from .mutants import Mutant
from .programs import Edit, Incompatible


def pairs(evidence: Evidence, until: float) -> tuple[list[Explanation], bool]:
    """The pairs of mistakes that explain what was found, and whether all that is promising was tried.

    Where a part is neutral, a mistake in it does not show, and the other one is seen alone: such cases propose it.

    Args:
      until: when to stop, by `time.perf_counter`.
    """
    explained: list[Explanation] = []
    tried: set[frozenset[Mutant]] = set()
    everything = evidence.instrument.visible
    if time.perf_counter() > until:
        return [], False
    for proposals in (*_proposals(evidence), list(everything)):
        for one in proposals:
            for other in everything:
                pair = frozenset((one, other))
                if len(pair) < 2 or pair in tried:
                    continue
                if time.perf_counter() > until:
                    return explained, False
                tried.add(pair)
                explained += _explained(evidence, one, other)
        if explained:
            break
    return explained, True


def _proposals(evidence: Evidence) -> list[list[Mutant]]:
    """For each case on which few single mistakes agree with the function: these, the fewest first."""
    agreeing = [evidence.agreeing(i) for i in range(len(evidence.found))]
    return sorted((few for few in agreeing if 0 < len(few) < len(evidence.instrument.visible) / 2), key=len)


def _explained(evidence: Evidence, one: Mutant, other: Mutant) -> list[Explanation]:
    for edits in _compositions(evidence, one, other):
        try:
            explanation = evidence.together((one, other), edits)
        except Incompatible:
            continue
        if explanation.explains:
            return [explanation]
    return []


def _compositions(evidence: Evidence, one: Mutant, other: Mutant) -> Iterator[tuple[Edit, ...]]:
    """Both orders where they may differ: where one mistake lies inside what the other replaces."""
    yield one.edits + other.edits
    span = evidence.instrument.program.span
    if one.functions & other.functions and span(one.edits) & span(other.edits):
        yield other.edits + one.edits
