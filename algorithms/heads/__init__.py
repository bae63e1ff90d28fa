"""What stands on the encoding X of Algorithm 9 in place of its lines 10 to 12: one vector, or one class, for all.

In the style of the numbered algorithms, and to be read like them; the numbers are ours.
"""

from .classification import classification
from .pooling import first_token, mean, unit

__all__ = ["classification", "first_token", "mean", "unit"]
