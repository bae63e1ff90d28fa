"""Between frameworks: a Hugging Face model's values by the paper's names, held against the library's, line by line.

`hooks` reads what the modules of a GPT-2 or BERT compute, `parameters` its parameters as the library's, `judging`
finds the lines that differ, `comparing` does all of it; `attending`, `linear` and `tokenwise` know what each line
computes and what else it might have, `report` says what was found.
"""

from .comparing import Comparison, Difference, compare, first_difference
from .hooks import capture
from .judging import Finding, Hint, judge, lines_of
from .parameters import parameters_of

__all__ = [
    "Comparison",
    "Difference",
    "Finding",
    "Hint",
    "capture",
    "compare",
    "first_difference",
    "judge",
    "lines_of",
    "parameters_of",
]
