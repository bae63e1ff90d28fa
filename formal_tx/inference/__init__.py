"""Algorithms 14 and 15, and what practice does with them: filters, streams, beam search, and the steps they share."""

from . import filters
from .algorithms import d_inference, ed_inference
from .beam_search import d_beam_search, ed_beam_search
from .decoding import d_prefill, d_step, ed_prefill, ed_step
from .drawing import draw
from .hypotheses import Hypotheses
from .streaming import d_stream, ed_stream

__all__ = [
    "Hypotheses",
    "d_beam_search",
    "d_inference",
    "d_prefill",
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
