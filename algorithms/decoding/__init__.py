"""What is done in practice with the distributions of Algorithms 14 and 15, and what the paper does not print.

In the style of the numbered algorithms, and to be read like them; the numbers are ours.
"""

from .beam_search import beam_search, d_beam_search, ed_beam_search, score
from .filters import greedy, min_p, repetition_penalty, temperature, top_k, top_p
from .speculative_sampling import d_speculate, speculative_decoding_step

__all__ = [
    "beam_search",
    "d_beam_search",
    "d_speculate",
    "ed_beam_search",
    "greedy",
    "min_p",
    "repetition_penalty",
    "score",
    "speculative_decoding_step",
    "temperature",
    "top_k",
    "top_p",
]
