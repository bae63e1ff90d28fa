"""What somebody else's function answered to one call."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Answer:
    """A result, and what was seen of how it came about.

    Attributes:
      result: an array, or the leaves of a set of parameters by path; None where `named` holds it.
      drawn_from: (tokens, N_V) the distributions from which tokens were drawn, as `sample(q)` was given them, or None.
      named: values of the function's variables by name, `S` or `4.S`, if it gives them.
    """

    result: Any
    drawn_from: np.ndarray | None = None
    named: dict[str, np.ndarray] = field(default_factory=dict)
