"""The systems of the reading list, and the entries by which their two editions are compared."""

from importlib import import_module
from pkgutil import iter_modules

from ..catalog import Variation
from .system import HEADINGS, PARTS, System

_FOUND: list[System] = [
    system
    for module in iter_modules(__path__)
    if module.name != "system"
    for system in import_module(f"{__name__}.{module.name}").SYSTEMS
]
SYSTEMS: tuple[System, ...] = tuple(sorted(_FOUND, key=lambda system: HEADINGS.index(system.heading)))
CHECKS: tuple[Variation, ...] = tuple({check.name: check for system in SYSTEMS for check in system.checks}.values())

__all__ = ["CHECKS", "PARTS", "SYSTEMS", "System"]
