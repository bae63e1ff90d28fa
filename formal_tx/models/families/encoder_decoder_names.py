"""The names that BART, Marian and Whisper share in files of Hugging Face, which are those of fairseq."""

from typing import Any

from ..family import Config
from ..forms import Heads
from ..tables import Row, row


def layers(prefix: str = "model.") -> list[Row]:
    """The rows of all layers, of the encoder and of the decoder."""
    return [
        *_attention(f"{prefix}encoder.layers.{{i}}.self_attn", "encoder.attention"),
        *_norm(f"{prefix}encoder.layers.{{i}}.self_attn_layer_norm", "encoder.gamma_1 encoder.beta_1"),
        *_matrix(f"{prefix}encoder.layers.{{i}}.fc1", "encoder.W_mlp1 encoder.b_mlp1"),
        *_matrix(f"{prefix}encoder.layers.{{i}}.fc2", "encoder.W_mlp2 encoder.b_mlp2"),
        *_norm(f"{prefix}encoder.layers.{{i}}.final_layer_norm", "encoder.gamma_2 encoder.beta_2"),
        *_attention(f"{prefix}decoder.layers.{{i}}.self_attn", "decoder.self_attention"),
        *_norm(f"{prefix}decoder.layers.{{i}}.self_attn_layer_norm", "decoder.gamma_3 decoder.beta_3"),
        *_attention(f"{prefix}decoder.layers.{{i}}.encoder_attn", "decoder.cross_attention"),
        *_norm(f"{prefix}decoder.layers.{{i}}.encoder_attn_layer_norm", "decoder.gamma_4 decoder.beta_4"),
        *_matrix(f"{prefix}decoder.layers.{{i}}.fc1", "decoder.W_mlp3 decoder.b_mlp3"),
        *_matrix(f"{prefix}decoder.layers.{{i}}.fc2", "decoder.W_mlp4 decoder.b_mlp4"),
        *_norm(f"{prefix}decoder.layers.{{i}}.final_layer_norm", "decoder.gamma_5 decoder.beta_5"),
    ]


def norms(where: str, of: str, prefix: str = "model.") -> list[Row]:
    """The rows of a norm that the encoder has as gamma_{of}z, and the decoder as gamma_{of}x."""
    return [
        *_norm(f"{prefix}encoder.{where}", f"gamma_{of}z beta_{of}z"),
        *_norm(f"{prefix}decoder.{where}", f"gamma_{of}x beta_{of}x"),
    ]


def copies(first_name: str, *names: str) -> dict[str, str]:
    """Names under which the table of embeddings may stand once more, as `Family.copies` takes them."""
    return {f"^{name.replace('.', '[.]')}$": first_name for name in names}


def special_tokens(config: Config, start: int) -> tuple[int, int, int]:
    """Mask, bos and eos: decoding begins with `decoder_start_token_id` (`start` unless given).

    None of these models has a mask token that its configuration says; the token of padding stands in for it.
    """
    pad, begin = config.get("pad_token_id"), config.get("decoder_start_token_id")
    end: Any = config.get("eos_token_id")
    end = end[0] if isinstance(end, list) else end  # any of several ends a text; ours has one
    return (start if pad is None else pad, start if begin is None else begin, start if end is None else end)


def sizes(config: Config) -> dict[str, Any]:
    """The hyperparameters that such a config.json says in numbers.

    Raises:
      ValueError: if encoder and decoder differ in heads or in the width of their MLPs; Algorithm 8 has one of each.
    """
    for name in ("attention_heads", "ffn_dim"):
        of_encoder, of_decoder = config[f"encoder_{name}"], config[f"decoder_{name}"]
        if of_encoder != of_decoder:
            raise ValueError(f"encoder_{name} is {of_encoder} and decoder_{name} {of_decoder}, expected the same")
    return {
        "L_enc": config["encoder_layers"],
        "L_dec": config["decoder_layers"],
        "H": config["encoder_attention_heads"],
        "d_e": config["d_model"],
        "d_mlp": config["encoder_ffn_dim"],
        "N_V": config["vocab_size"],
        "embedding_scale": config["d_model"] ** 0.5 if config.get("scale_embedding", False) else 1.0,
    }


def _attention(name: str, fields: str) -> list[Row]:
    heads = [
        row(f"{name}.{of}_proj.{kind}", f"{fields}.heads.{letter}_{of}", Heads(of))
        for of in "qkv"
        for kind, letter in (("weight", "W"), ("bias", "b"))
    ]
    return [*heads, *_matrix(f"{name}.out_proj", f"{fields}.W_o {fields}.b_o")]


def _matrix(name: str, fields: str) -> list[Row]:
    W, b = fields.split()
    return [row(f"{name}.weight", W), row(f"{name}.bias", b)]


_norm = _matrix
