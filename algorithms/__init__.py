"""*Formal Algorithms for Transformers* (Phuong & Hutter, 2207.09238), executable.

One file for each numbered algorithm, in NumPy and float64, to be held against the page line by line.

Reading these files:

* A column is a token, as printed: `X` is `(d_e, l)`, `W_e` is `(d_e, N_V)`, a softmax sums over rows (eq. 2).
* The number at the end of a line is the number of that line in the paper. A statement without a number only
  names what the paper leaves implicit.
* **Token ids and positions count from 0.** The paper's count from 1. So the vocabulary is `0 .. N_V - 1`, it ends in
  `mask_token = N_V - 3`, `bos_token = N_V - 2`, `eos_token = N_V - 1`, and `W_p[:, 0]` is the first position.
* Parameters are `Parameters`: named arrays, and lists of `Parameters` for heads and layers (see `notation.py`).
* Errata (E1 to E30) are listed in `docs/errata.md`; each is settled in the docstring of the file it concerns.
"""

from .algorithm_01_token_embedding import token_embedding
from .algorithm_02_positional_embedding import positional_embedding, sinusoidal_positions
from .algorithm_03_basic_single_query_attention import basic_single_query_attention
from .algorithm_04_attention import attention
from .algorithm_05_mh_attention import mh_attention
from .algorithm_06_layer_norm import layer_norm
from .algorithm_07_unembedding import unembedding
from .algorithm_08_ed_transformer import ed_transformer
from .algorithm_09_e_transformer import e_transformer
from .algorithm_10_d_transformer import d_transformer
from .algorithm_11_ed_training import ed_training
from .algorithm_12_e_training import e_training
from .algorithm_13_d_training import d_training
from .algorithm_14_d_inference import d_inference
from .algorithm_15_ed_inference import ed_inference

__all__ = [
    "attention",
    "basic_single_query_attention",
    "d_inference",
    "d_training",
    "d_transformer",
    "e_training",
    "e_transformer",
    "ed_inference",
    "ed_training",
    "ed_transformer",
    "layer_norm",
    "mh_attention",
    "positional_embedding",
    "sinusoidal_positions",
    "token_embedding",
    "unembedding",
]
