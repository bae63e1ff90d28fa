"""Algorithms 14 and 15, and what practice makes of them: filters, streams, beam search, speculation, steps."""

from . import filters
from .algorithms import d_inference, ed_inference
from .beam_search import d_beam_search, ed_beam_search
from .decoding import d_prefill, d_step, ed_prefill, ed_step
from .drawing import draw
from .extending import d_extend, d_prefill_in_chunks
from .hypotheses import Hypotheses
from .prefix_cache import PrefixCache
from .speculation import Speculated, d_speculate
from .streaming import d_stream, ed_stream

__all__ = [
    "Hypotheses",
    "PrefixCache",
    "Speculated",
    "d_beam_search",
    "d_extend",
    "d_inference",
    "d_prefill",
    "d_prefill_in_chunks",
    "d_speculate",
    "d_step",
    "d_stream",
    "draw",
    "ed_beam_search",
    "ed_inference",
    "ed_prefill",
    "ed_step",
    "ed_stream",
    "filters",
]
