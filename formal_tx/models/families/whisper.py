"""Whisper (2212.04356): Algorithm 8 with norms before sub-layers, whose context is sound: `formal_tx.speech`.

Two convolutions make the context's embeddings (`formal_tx/speech/front.py`); their tensors are a model's extras. W_pz
are the encoder's positions, which files have as a table, though they are sinusoids and were not trained.
"""

from typing import Any

from ...activations import gelu
from ...hyperparameters import Biases, EDTransformerHyperparameters
from ...placement import PRE
from ..config import activation, require
from ..family import Config, Family
from ..tables import Row, row
from .encoder_decoder_names import copies, layers, norms, sizes, special_tokens


def hyperparameters(config: Config) -> EDTransformerHyperparameters:
    """The hyperparameters of a config.json."""
    require(config, tie_word_embeddings=True)
    return EDTransformerHyperparameters(
        **sizes(config),
        **(variations() | {"activation": activation(config.get("activation_function"), gelu)}),
        l_max=config["max_target_positions"],
        l_max_z=config["max_source_positions"],
        special_tokens=special_tokens(config, start=config["vocab_size"] - 1),
    )


def variations() -> dict[str, Any]:
    """What all of these models have in common."""
    found = {"placement": PRE, "final_norm": True, "activation": gelu, "tied_embeddings": True}
    return found | {"biases": Biases(k=False)}


def rows(hp: EDTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    return [
        row("model.decoder.embed_tokens.weight", "W_e"),
        row("model.encoder.embed_positions.weight", "W_pz"),
        row("model.decoder.embed_positions.weight", "W_p"),
        *layers(),
        *norms("layer_norm", ""),
    ]


def special_ids(N_V: int) -> dict[str, int]:
    """What a vocabulary of this size has as its first and last tokens, in the names of a config.json."""
    end = 50256 if N_V == 51864 else 50257  # without other languages there is no empty token before it
    return {"decoder_start_token_id": end + 1, "bos_token_id": end, "eos_token_id": end, "pad_token_id": end}


def _published(d_e: int, H: int, L_enc: int, L_dec: int, N_V: int = 51865, **others: Any) -> dict[str, Any]:
    sizes = {"d_model": d_e, "encoder_layers": L_enc, "decoder_layers": L_dec, "vocab_size": N_V}
    sizes |= {f"{half}_attention_heads": H for half in ("encoder", "decoder")}
    sizes |= {f"{half}_ffn_dim": 4 * d_e for half in ("encoder", "decoder")}
    return (
        sizes
        | special_ids(N_V)
        | {"max_source_positions": 1500, "max_target_positions": 448, "num_mel_bins": 80}
        | others
    )


WHISPER = Family(
    name="whisper",
    model_types=("whisper",),
    architecture="encoder-decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    prefixes=("model.",),
    kept=(r"^model\.encoder\.conv[12]\.(weight|bias)$",),
    copies=copies("model.decoder.embed_tokens.weight", "proj_out.weight"),
    published={
        "whisper-tiny": _published(384, 6, 4, 4),
        "whisper-tiny.en": _published(384, 6, 4, 4, 51864),
        "whisper-base": _published(512, 8, 6, 6),
        "whisper-base.en": _published(512, 8, 6, 6, 51864),
        "whisper-small": _published(768, 12, 12, 12),
        "whisper-small.en": _published(768, 12, 12, 12, 51864),
        "whisper-medium": _published(1024, 16, 24, 24),
        "whisper-medium.en": _published(1024, 16, 24, 24, 51864),
        "whisper-large-v2": _published(1280, 20, 32, 32),
        "whisper-large-v3": _published(1280, 20, 32, 32, 51866, num_mel_bins=128),
        "whisper-large-v3-turbo": _published(1280, 20, 32, 4, 51866, num_mel_bins=128),
    },
)
