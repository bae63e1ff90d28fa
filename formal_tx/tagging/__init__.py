"""The instrument: `line` tags what a line of an algorithm computes, `reap` reads it, `plant` puts another in its place.

`lines` has the tag, `selectors` how a line is named, `reaping` and `planting` the two functions. They evaluate a
function's jaxpr (`evaluation`, `calls`, `loops`), noting where they are (`places`) and what is met there (`walk`).
"""

from .lines import line, stacked
from .planting import plant
from .reaping import Reaped, reap
from .selectors import SelectorError

__all__ = ["Reaped", "SelectorError", "line", "plant", "reap", "stacked"]
