"""Which line is wrong: mistakes that people make, made in the pseudocode, and held against somebody else's function."""

from .catalogue import MISTAKES, OF_SYSTEMS
from .diagnose import Diagnosis, diagnose, examine
from .evidence import Explanation
from .judge import judge
from .mistakes import Mistake
from .mutants import Mutant, mutants

__all__ = [
    "MISTAKES",
    "OF_SYSTEMS",
    "Diagnosis",
    "Explanation",
    "Mistake",
    "Mutant",
    "diagnose",
    "examine",
    "judge",
    "mutants",
]
