"""The instrument: runs both editions of an algorithm and says, line by line, whether they are the same thing.

`catalog` names the algorithms, `cases` draws their inputs, `record` watches the pseudocode run, `compare` holds the two
against each other, `candidate` does so with somebody else's function, `report` says it to a person or a program.
"""

from .catalog import ALGORITHMS, Algorithm, find
from .compare import Comparison, check

__all__ = ["ALGORITHMS", "Algorithm", "Comparison", "check", "find"]
