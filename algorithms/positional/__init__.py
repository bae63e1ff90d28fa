"""How positions enter a transformer: tables added to embeddings, rotations of queries and keys, scores of distances.

In the style of the numbered algorithms, and to be read like them; the numbers are ours. Positions count from 0.
"""

from .alibi import alibi, slopes
from .relative_buckets import bucket, relative_buckets
from .rotary import frequencies, linear_scaling, llama3_scaling, ntk_scaling, rotary, yarn_scaling, yarn_size
from .sinusoidal import interleaved_sinusoids, sinusoid_halves, whisper_sinusoids

__all__ = [
    "alibi",
    "bucket",
    "frequencies",
    "interleaved_sinusoids",
    "linear_scaling",
    "llama3_scaling",
    "ntk_scaling",
    "relative_buckets",
    "rotary",
    "sinusoid_halves",
    "slopes",
    "whisper_sinusoids",
    "yarn_scaling",
    "yarn_size",
]
