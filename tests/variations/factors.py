"""The values of the variations that are combined, two by two, and the models that a combination is."""

from typing import Any

from formal_tx import DTransformerHyperparameters, EDTransformerHyperparameters, ETransformerHyperparameters
from formal_tx.activations import gelu, gelu_sigmoid, gelu_tanh, relu, sigmoid, silu
from formal_tx.hyperparameters import NO_BIASES, Biases, learned
from formal_tx.normalization import layer_norm, rms_norm, rms_norm_about_one
from formal_tx.placement import BRANCH, PARALLEL, PARALLEL_ONE_NORM, POST, PRE, SANDWICH, SUB_LN
from formal_tx.positional import (
    Alibi,
    LinearScaling,
    Llama3Scaling,
    RelativeBuckets,
    Rotary,
    YaRNScaling,
    interleaved_sinusoids,
    sinusoid_halves,
    whisper_sinusoids,
)
from formal_tx.scores import InTurn, QKNorm, SoftCap

from .covering import covering_array

SEQUENTIAL = (PRE, POST, SANDWICH, BRANCH, SUB_LN)

COMMON: dict[str, tuple[Any, ...]] = {
    "norm": (layer_norm, rms_norm, rms_norm_about_one),
    "placement": (*SEQUENTIAL, PARALLEL, PARALLEL_ONE_NORM),
    "activation": (gelu, relu, gelu_tanh, silu, gelu_sigmoid, sigmoid),
    "gated": (False, True),
    "biases": (Biases(), NO_BIASES, Biases(o=False, mlp=False, norm=False, u=True), Biases(k=False)),
    "table": (learned, None, interleaved_sinusoids, sinusoid_halves, whisper_sinusoids),
    "rotate": (
        None,
        Rotary(),
        Rotary(neighbours=True, scaling=LinearScaling(2.0)),
        Rotary(base=100.0, size=2),
        Rotary(base=500.0, scaling=Llama3Scaling(8.0, 64)),
        Rotary(base=100.0, scaling=YaRNScaling(4.0, 64, 100.0, 1.0, 4.0)),
    ),
    "score": (None, Alibi(), RelativeBuckets(6, 5), SoftCap(2.0), InTurn((SoftCap(2.0), Alibi()))),
    "H_kv": (4, 2, 1),
    "normalise_qk": (None, QKNorm(1e-5), QKNorm(1e-5, all_heads=True)),
    "windows": ((None,), (2,), (3, None)),
    "scale": (None, 0.6),
    "logit_cap": (None, SoftCap(3.0)),
    "embedding_norm": (False, True),
    "layer_scale": (False, True),
    "embedding_scale": (1.0, 1.75),
    "logit_scale": (1.0, 0.75),
    "final_norm": (False, True),
    "tied_embeddings": (False, True),
}
D = COMMON | {"score": (*COMMON["score"], RelativeBuckets(6, 5, bidirectional=False))}
E = COMMON | {"N_S": (0, 2)}
ED = COMMON | {
    "placement": SEQUENTIAL,
    "decoder_score": (None, RelativeBuckets(6, 5, bidirectional=False), Alibi()),
    "l_max_z": (None, 9),
    "N_V_z": (None, 11),
}

WIDTHS: dict[str, Any] = {"H": 4, "d_mid": 3, "d_attn": 4, "d_e": 6, "d_mlp": 5, "N_V": 7, "l_max": 8, "epsilon": 1e-3}


def d_models() -> list[DTransformerHyperparameters]:
    """Decoders in which every two values of every two factors occur together."""
    return [DTransformerHyperparameters(**WIDTHS, L=2, **row) for row in covering_array(D)]


def e_models() -> list[ETransformerHyperparameters]:
    """Encoders likewise."""
    return [ETransformerHyperparameters(**WIDTHS, L=2, d_f=6, **row) for row in covering_array(E)]


def ed_models() -> list[EDTransformerHyperparameters]:
    """Encoder-decoders likewise."""
    return [EDTransformerHyperparameters(**WIDTHS, L_enc=2, L_dec=2, **row) for row in covering_array(ED)]
