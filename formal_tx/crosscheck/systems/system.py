"""A system of the reading list: what it is called, where its parts are, and how its two editions are compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .. import pseudocode
from ..catalog import Variation

PARTS = ("pseudocode", "function", "check", "property", "oracle", "bad_input", "example", "claim")
"""What every system has."""

HEADINGS = ("positional", "long_context")
"""The headings of the reading list that are here, in its order."""

_PLACES = {
    "pseudocode": "algorithms/{heading}/{name}.py",
    "function": "formal_tx/{heading}/{name}.py",
    "check": "formal_tx/crosscheck/systems/{name}.py",
    "property": "tests/systems/{name}/test_properties.py",
    "oracle": "tests/systems/{name}/test_oracle.py",
    "bad_input": "tests/systems/{name}/test_bad_input.py",
    "example": "examples/{name}.py",
    "claim": "benchmarks/claims/{name}.py",
    "spec": "docs/systems/{name}.md",
}


@dataclass(frozen=True, eq=False)
class System:
    """A system of the reading list.

    Attributes:
      name: in code, `streaming_llm`. title: in words. heading: of the reading list, one of `HEADINGS`.
      papers: their numbers, 2309.17453.
      checks: the entries of its algorithms, by whose names `formal-tx check` and `show` find them.
      elsewhere: paths of parts that are not where its name says, in the repository.
    """

    name: str
    title: str
    heading: str
    papers: tuple[str, ...]
    checks: tuple[Variation, ...]
    elsewhere: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def files(self) -> dict[str, str]:
        """Where its parts are in the repository, by the names of `PARTS`, and its description, the "spec"."""
        expected = {part: place.format(heading=self.heading, name=self.name) for part, place in _PLACES.items()}
        return expected | dict(self.elsewhere)

    @property
    def has(self) -> tuple[str, ...]:
        """Which of its parts are here: in a checkout all, in an installed package those that people call."""
        return tuple(part for part in PARTS if _here(self.files[part]))

    @property
    def as_object(self) -> dict[str, Any]:
        """What `formal-tx list --json` says of it."""
        files = self.files
        spec = files.pop("spec")
        about: dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "heading": self.heading,
            "papers": list(self.papers),
        }
        about |= {"checks": [check.name for check in self.checks], "files": files, "spec": spec}
        return about | {"has": list(self.has)}


def _here(path: str) -> bool:
    top, _, rest = path.partition("/")
    if top == "algorithms":
        return (pseudocode.folder() / rest).exists()
    package = Path(__file__).parents[2]
    return (package / rest if top == package.name else package.parent / path).exists()
