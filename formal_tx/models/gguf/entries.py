"""The entries of a GGUF header, asked for by name and held against the type that they should have."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class Entries:
    """The entries, those of the architecture under their names without it: `block_count` for `llama.block_count`."""

    def __init__(self, entries: Mapping[str, Any]) -> None:
        self._entries, self._prefix = entries, ""
        self.architecture = self.text("general.architecture")
        self._prefix = f"{self.architecture}."

    def __contains__(self, name: str) -> bool:
        return self._name(name) is not None

    def _name(self, name: str) -> str | None:
        return next((n for n in (f"{self._prefix}{name}", name) if n in self._entries), None)

    def _value(self, name: str, default: Any) -> Any:
        found = self._name(name)
        if found is not None:
            return self._entries[found]
        if default is None:
            raise ValueError(f"there is no entry {self._prefix}{name}")
        return default

    def integer(self, name: str, default: int | None = None, least: int = 1) -> int:
        """A whole number of at least `least`. Raises `ValueError` if it is missing and there is no default."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"the entry {name} is {_shown(value)}, expected an integer of at least {least}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number, as short as it is in float32: 1e-05 and not 9.999999747378752e-06."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise ValueError(f"the entry {name} is {_shown(value)}, expected a finite number")
        return float(str(np.float32(value)))

    def text(self, name: str, default: str | None = None) -> str:
        """A string."""
        value = self._value(name, default)
        if not isinstance(value, str):
            raise ValueError(f"the entry {name} is {_shown(value)}, expected a string")
        return value

    def truth(self, name: str, default: bool) -> bool:
        """A boolean."""
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise ValueError(f"the entry {name} is {_shown(value)}, expected true or false")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of strings."""
        value = self._value(name, None)
        if not isinstance(value, list):
            raise ValueError(f"the entry {name} is {_shown(value)}, expected a list of strings")
        return value

    def numbers(self, name: str, count: int) -> np.ndarray:
        """An array of `count` numbers."""
        value = self._value(name, None)
        if not isinstance(value, np.ndarray) or len(value) != count:
            raise ValueError(f"the entry {name} is {_shown(value)}, expected an array of {count} numbers")
        return value


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray | list):
        return f"an array of {len(value)} elements"
    return repr(value) if len(repr(value)) < 80 else f"{repr(value)[:80]}…"
