"""Names of tensors: with the prefixes that files may lack, and without the second copies that they may have."""

import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from .family import Family
from .tables import Row


class Renamed(Mapping[str, np.ndarray]):
    """Tensors under other names; `names` says, for each, the one that a file has."""

    def __init__(self, tensors: Mapping[str, np.ndarray], names: Mapping[str, str]):
        self._tensors, self._names = tensors, names

    def __getitem__(self, name: str) -> np.ndarray:
        return self._tensors[self._names[name]]

    def __contains__(self, name: object) -> bool:  # the inherited one would read the tensor
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def canonical(tensors: Mapping[str, np.ndarray], family: Family, rows: Iterable[Row]) -> Renamed:
    """The tensors under the names of the table.

    A name that the table does not have is tried with each of the family's prefixes put before it, and taken away.

    Raises:
      ValueError: two names of the file are one of the table.
    """
    known = _known(family, rows)
    names: dict[str, str] = {}
    for name in tensors:
        candidates = [name, *(p + name for p in family.prefixes), *(name.removeprefix(p) for p in family.prefixes)]
        own = next((candidate for candidate in candidates if known.search(candidate)), name)
        if own in names:
            raise ValueError(f"tensors {names[own]} and {name} are both {own}")
        names[own] = name
    return Renamed(tensors, names)


def _known(family: Family, rows: Iterable[Row]) -> re.Pattern[str]:
    of_rows = [name for r in rows for name in (r.name, *r.others)]
    patterns = ["^" + r"\d+".join(map(re.escape, name.split("{i}"))) + "$" for name in of_rows]
    others = [*family.ignored, *family.kept, *family.copies]
    return re.compile("|".join(f"(?:{pattern})" for pattern in (*patterns, *others)))


def second_copies(tensors: Mapping[str, np.ndarray], family: Family, rows: Iterable[Row]) -> list[str]:
    """The names of tensors that are there a second time, and for which the table of `rows` has no place.

    Raises:
      ValueError: the two differ.
    """
    has_row = {name for r in rows for name in (r.name, *r.others)}
    found = []
    for name in tensors:
        first = next((first for pattern, first in family.copies.items() if re.search(pattern, name)), None)
        if first is None or first not in tensors or name in has_row:
            continue
        if not np.array_equal(tensors[name], tensors[first]):
            raise ValueError(
                f"tensors {name} and {first} differ, and its config.json says that they are one; an entry "
                '"tie_word_embeddings": false would say that they are two'
            )
        found.append(name)
    return found
