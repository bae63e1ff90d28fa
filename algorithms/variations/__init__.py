"""What models have changed in the transformer, and the three architectures with the changes as arguments.

In the style of the numbered algorithms, and to be read like them. `d_transformer`, `e_transformer` and
`ed_transformer` here have the printed line numbers; with the arguments that they have by default they are Algorithms
10, 9 and 8. Elsewhere the numbers are ours.

A bias or offset that a model lacks is 0 here, a scale that it lacks is 1, and a positional table that it lacks is 0.
"""

from .activation import GELU_sigmoid, GELU_tanh, SiLU, sigmoid
from .d_transformer import d_transformer
from .e_transformer import e_transformer
from .ed_transformer import ed_transformer
from .gated_mlp import gated_mlp, mlp
from .grouped_attention import grouped_attention
from .norm import rms_norm, rms_norm_about_one
from .placement import branch, parallel, parallel_one_norm, post, pre, sandwich
from .qk_norm import qk_norm, qk_norm_of_all_heads
from .soft_cap import soft_cap
from .window import sliding_window

__all__ = [
    "GELU_sigmoid",
    "GELU_tanh",
    "SiLU",
    "branch",
    "d_transformer",
    "e_transformer",
    "ed_transformer",
    "gated_mlp",
    "grouped_attention",
    "mlp",
    "parallel",
    "parallel_one_norm",
    "post",
    "pre",
    "qk_norm",
    "qk_norm_of_all_heads",
    "rms_norm",
    "rms_norm_about_one",
    "sandwich",
    "sigmoid",
    "sliding_window",
    "soft_cap",
]
