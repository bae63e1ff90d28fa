"""The families that there are: every `Family` in the modules of `formal_tx.models.families`."""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from typing import Any

from . import families as _modules
from .family import Config, Family


@cache
def families() -> dict[str, Family]:
    """All families by name."""
    found: dict[str, Family] = {}
    for module in pkgutil.iter_modules(_modules.__path__):
        content = vars(importlib.import_module(f"{_modules.__name__}.{module.name}")).values()
        found |= {family.name: family for family in content if isinstance(family, Family)}
    return dict(sorted(found.items()))


def family_of(config: Config) -> Family:
    """The family of a config.json.

    Raises:
      ValueError: it says no `model_type`, or one that is not known; suggests the nearest.
    """
    by_type = {model_type: family for family in families().values() for model_type in family.model_types}
    model_type: Any = config.get("model_type")
    if not isinstance(model_type, str):
        raise ValueError(f"model_type is {model_type!r}, expected one of {', '.join(sorted(by_type))}")
    if model_type not in by_type:
        raise ValueError(f"there is no model_type {model_type!r}; {_suggestion(model_type, by_type)}")
    return by_type[model_type]


def names() -> list[str]:
    """The names of the published models whose hyperparameters are known."""
    return sorted(name for family in families().values() for name in family.published)


def published(name: str) -> Any:
    """The hyperparameters of a published model, such as "gpt2-xl" or "llama-3-8b"; its weights are not needed.

    Raises:
      ValueError: the name is not known; suggests the nearest.
    """
    for family in families().values():
        if name in family.published:
            return family.hyperparameters(family.published[name])
    raise ValueError(f"there is no published model {name!r}; {_suggestion(name, names())}")


def _suggestion(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    return f"the nearest are {', '.join(near)}" if near else f"they are {', '.join(known)}"
