"""Which line is wrong: mistakes that people make, made in the pseudocode, and held against somebody else's function."""

from .catalogue import MISTAKES
from .diagnose import Diagnosis, diagnose, examine
from .evidence import Explanation
from .judge import judge
from .mistakes import Mistake
from .mutants import Mutant, mutants

__all__ = ["MISTAKES", "Diagnosis", "Explanation", "Mistake", "Mutant", "diagnose", "examine", "judge", "mutants"]
