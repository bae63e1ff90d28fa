"""Positions: tables that are added to the embeddings, rotations of queries and keys, and scores that know distances."""

from .alibi import Alibi
from .relative_buckets import RelativeBuckets
from .rotary import LinearScaling, Llama3Scaling, NTKScaling, Rotary, YaRNScaling
from .tables import interleaved_sinusoids, sinusoid_halves, whisper_sinusoids

__all__ = [
    "Alibi",
    "LinearScaling",
    "Llama3Scaling",
    "NTKScaling",
    "RelativeBuckets",
    "Rotary",
    "YaRNScaling",
    "interleaved_sinusoids",
    "sinusoid_halves",
    "whisper_sinusoids",
]
