"""A pairwise covering array: few rows in which every two values of every two factors occur together."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

Pair = tuple[tuple[str, int], tuple[str, int]]


def pairs(row: Mapping[str, int]) -> Iterator[Pair]:
    """The pairs of (factor, value's number) that a row holds; one that is not complete holds those that it has."""
    return combinations(sorted(row.items()), 2)


def all_pairs(factors: Mapping[str, Sequence[Any]]) -> list[Pair]:
    """Every two values of every two factors."""
    return [
        ((a, i), (b, j))
        for a, b in combinations(sorted(factors), 2)
        for i, j in product(range(len(factors[a])), range(len(factors[b])))
    ]


def covering_array(factors: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Rows of values by factor, the same every time.

    Each row begins with the first pair that is still to be covered. The other factors follow, those with the most
    values first, and each takes the value that covers most, or else, of several, the one that was used least.
    """
    missing = dict.fromkeys(all_pairs(factors))
    order = sorted(factors, key=lambda name: (-len(factors[name]), name))
    used = {(name, i): 0 for name in factors for i in range(len(factors[name]))}
    rows = []
    while missing:
        row = dict(next(iter(missing)))
        for name in order:
            if name not in row:
                row[name] = max(range(len(factors[name])), key=lambda i: (_gain(row, name, i, missing), -used[name, i]))
        for pair in pairs(row):
            missing.pop(pair, None)
        for choice in row.items():
            used[choice] += 1
        rows.append({name: factors[name][i] for name, i in row.items()})
    return rows


def _gain(row: Mapping[str, int], name: str, i: int, missing: Mapping[Pair, None]) -> int:
    """How many missing pairs the value adds to a row."""
    return sum(tuple(sorted([(name, i), other])) in missing for other in row.items())
