"""What is done in practice with the distributions of Algorithms 14 and 15, and what the paper does not print.

In the style of the numbered algorithms, and to be read like them; the numbers are ours.
"""

from .beam_search import beam_search, d_beam_search, ed_beam_search, score
from .filters import greedy, min_p, repetition_penalty, temperature, top_k, top_p

__all__ = [
    "beam_search",
    "d_beam_search",
    "ed_beam_search",
    "greedy",
    "min_p",
    "repetition_penalty",
    "score",
    "temperature",
    "top_k",
    "top_p",
]
