"""formal-tx: *Formal Algorithms for Transformers* (Phuong & Hutter, 2207.09238) as pure, jitted JAX functions."""

from . import masks
from .architectures import (
    d_transformer,
    d_transformer_logits,
    e_transformer,
    e_transformer_logits,
    ed_transformer,
    ed_transformer_logits,
)
from .attention import attention, basic_single_query_attention, mh_attention
from .embedding import positional_embedding, token_embedding, unembedding
from .hyperparameters import (
    DTransformerHyperparameters,
    EDTransformerHyperparameters,
    ETransformerHyperparameters,
)
from .inference import d_inference, ed_inference
from .initialization import (
    init_attention,
    init_d_transformer,
    init_e_transformer,
    init_ed_transformer,
    init_mh_attention,
)
from .normalization import layer_norm
from .parameters import (
    AttentionParameters,
    DecoderLayerParameters,
    DTransformerParameters,
    EDTransformerParameters,
    ETransformerParameters,
    LayerParameters,
    MHAttentionParameters,
)
from .training import d_training, e_training, ed_training

__version__ = "0.1.0"

__all__ = [
    "AttentionParameters",
    "DTransformerHyperparameters",
    "DTransformerParameters",
    "DecoderLayerParameters",
    "EDTransformerHyperparameters",
    "EDTransformerParameters",
    "ETransformerHyperparameters",
    "ETransformerParameters",
    "LayerParameters",
    "MHAttentionParameters",
    "attention",
    "basic_single_query_attention",
    "d_inference",
    "d_training",
    "d_transformer",
    "d_transformer_logits",
    "e_training",
    "e_transformer",
    "e_transformer_logits",
    "ed_inference",
    "ed_training",
    "ed_transformer",
    "ed_transformer_logits",
    "init_attention",
    "init_d_transformer",
    "init_e_transformer",
    "init_ed_transformer",
    "init_mh_attention",
    "layer_norm",
    "masks",
    "mh_attention",
    "positional_embedding",
    "token_embedding",
    "unembedding",
]
