"""Whisper from a model directory of CTranslate2: model.bin, config.json, tokenizer.json."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..hyperparameters import EDTransformerHyperparameters
from .ctranslate2_file import ModelFile, read_model_file
from .families import whisper
from .forms import AS_IT_IS, Array, Fused
from .huggingface import CONFIG, TOKENIZER, parameters_of, read_json
from .memory import require_memory
from .model import Model
from .tables import Row, row
from .tokenizer import PretrainedTokenizer

MODEL = "model.bin"
SPECIFICATION, REVISION = "WhisperSpec", 3
# What its decoder has to be, as scalars: norms before sub-layers, the exact GELU (3), embeddings as they are.
_AS_PUBLISHED = {"pre_norm": 1, "activation": 3, "scale_embeddings": 0, "alibi": 0, "start_from_zero_embedding": 0}
_CONVOLUTION = "model.encoder.conv{}.{}"


@dataclass(frozen=True)
class BiasWithoutKeys:
    """Biases of queries (if `of` has them), keys and values in one vector, in which those of the keys are 0."""

    of: str = "qkv"

    def read(self, tensor: Array, hyperparameters: Any) -> list[Array]:
        parts = dict(zip(self.of, Fused(of=self.of).read(tensor, hyperparameters), strict=True))
        if parts["k"].any():
            raise ValueError("has biases of keys that are not 0, and Whisper has none")
        return [parts[part] for part in self.of if part != "k"]

    def write(self, parts: Sequence[Array], hyperparameters: Any) -> Array:
        (*queries, values) = parts
        zeros = np.zeros((hyperparameters.key_value_heads, hyperparameters.d_attn), values.dtype)
        return Fused(of=self.of).write([*queries, zeros, values], hyperparameters)


def rows(hp: EDTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    return [
        row("decoder/embeddings/weight", "W_e"),
        row("decoder/position_encodings/encodings", "W_p"),
        row("encoder/position_encodings/encodings", "W_pz"),
        *_layers("encoder", "attention", ("1", "2", ""), ("W_mlp1 b_mlp1", "W_mlp2 b_mlp2")),
        *_layers("decoder", "self_attention", ("3", "5", "4"), ("W_mlp3 b_mlp3", "W_mlp4 b_mlp4")),
        *_norm("encoder/layer_norm", "gamma_z beta_z"),
        *_norm("decoder/layer_norm", "gamma_x beta_x"),
    ]


def _layers(half: str, attention: str, norms: tuple[str, str, str], mlp: tuple[str, str]) -> list[Row]:
    def fields(names: str) -> str:
        return " ".join(f"{half}.{name}" for name in names.split())

    def norm(where: str, n: str) -> list[Row]:
        return _norm(f"{layer}/{where}/layer_norm", fields(f"gamma_{n} beta_{n}"))

    layer, heads = f"{half}/layer_{{i}}", f"{attention}.heads"
    found = [
        *norm("self_attention", norms[0]),
        row(f"{layer}/self_attention/linear_0/weight", fields(f"{heads}.W_q {heads}.W_k {heads}.W_v"), Fused()),
        row(f"{layer}/self_attention/linear_0/bias", fields(f"{heads}.b_q {heads}.b_v"), BiasWithoutKeys()),
        *_linear(f"{layer}/self_attention/linear_1", fields(f"{attention}.W_o {attention}.b_o")),
        *norm("ffn", norms[1]),
        *_linear(f"{layer}/ffn/linear_0", fields(mlp[0])),
        *_linear(f"{layer}/ffn/linear_1", fields(mlp[1])),
    ]
    if norms[2]:
        cross, heads = "cross_attention", "cross_attention.heads"
        found += [
            *norm("attention", norms[2]),
            row(f"{layer}/attention/linear_0/weight", fields(f"{heads}.W_q"), Fused(of="q")),
            row(f"{layer}/attention/linear_0/bias", fields(f"{heads}.b_q"), Fused(of="q")),
            row(f"{layer}/attention/linear_1/weight", fields(f"{heads}.W_k {heads}.W_v"), Fused(of="kv")),
            row(f"{layer}/attention/linear_1/bias", fields(f"{heads}.b_v"), BiasWithoutKeys("kv")),
            *_linear(f"{layer}/attention/linear_2", fields(f"{cross}.W_o {cross}.b_o")),
        ]
    return found


def _linear(name: str, fields: str) -> list[Row]:
    W, b = fields.split()
    return [row(f"{name}/weight", W, AS_IT_IS), row(f"{name}/bias", b, AS_IT_IS)]


def _norm(name: str, fields: str) -> list[Row]:
    gamma, beta = fields.split()
    return [row(f"{name}/gamma", gamma, AS_IT_IS), row(f"{name}/beta", beta, AS_IT_IS)]


# Whisper under the names of CTranslate2: what is a scalar is no parameter, and the convolutions are extras.
_NAMES = replace(
    whisper.WHISPER,
    rows=rows,
    prefixes=(),
    ignored=(r"^decoder/(?!layer_\d)[^/]*$", r"^encoder/(?!layer_\d)[^/]*$"),
    kept=(r"^encoder/conv[12]/(weight|bias)$",),
    copies={"^decoder/projection/weight$": "decoder/embeddings/weight"},
)


def load_ctranslate2(path: Path, dtype: np.dtype | None = None) -> Model:
    """A Whisper model from a directory of CTranslate2. Types and errors as `formal_tx.models.load`.

    The model is one of the family "whisper", with a config.json in the form of Hugging Face, in which `save` writes it.

    Raises:
      ValueError: also for a specification other than "WhisperSpec".
    """
    path = Path(path)
    file = read_model_file(path / MODEL)
    _require_whisper(path / MODEL, file)
    dtype = np.dtype(np.float32) if dtype is None else dtype
    require_memory(path, {name: (W.dtype, W.shape) for name, W in file.variables.items()}, dtype)
    options = read_json(path / CONFIG) if (path / CONFIG).is_file() else {}
    tokenizer = PretrainedTokenizer.load(path / TOKENIZER) if (path / TOKENIZER).is_file() else None
    tensors = file.tensors()
    try:
        config = _configuration(tensors, options)
        hyperparameters = whisper.hyperparameters(config)
        params, extras = parameters_of(tensors, _NAMES, hyperparameters, dtype)
    except ValueError as error:
        raise ValueError(f"{path / MODEL}: {error}") from None
    extras = {_CONVOLUTION.format(name[12], name[14:]): E for name, E in extras.items()}
    return Model("encoder-decoder", hyperparameters, params, whisper.WHISPER.name, tokenizer, config, extras)


def _require_whisper(path: Path, file: ModelFile) -> None:
    if file.specification != SPECIFICATION:
        raise ValueError(f"{path} has specification {file.specification!r}, and only {SPECIFICATION!r} is supported")
    if file.revision > REVISION:
        raise ValueError(f"{path} has revision {file.revision} of {SPECIFICATION}, expected at most {REVISION}")
    for name, value in _AS_PUBLISHED.items():
        found = file.variables.get(f"decoder/{name}")
        if found is not None and (found.shape or int(found) != value):
            raise ValueError(f"{path}: decoder/{name} is {found}, expected {value}, as Whisper has it")


def _configuration(tensors: dict[str, Array], options: dict[str, Any]) -> dict[str, Any]:
    """A config.json in the form of Hugging Face, from the shapes of tensors and from the config.json that there is."""

    def shape(name: str, rank: int) -> tuple[int, ...]:
        if name not in tensors:
            raise ValueError(f"there is no variable {name}")
        if tensors[name].ndim != rank:
            raise ValueError(f"variable {name} has shape {tensors[name].shape}, expected {rank} axes")
        return tensors[name].shape

    N_V, d_e = shape("decoder/embeddings/weight", 2)
    config: dict[str, Any] = {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "d_model": d_e,
        "vocab_size": N_V,
        "num_mel_bins": shape("encoder/conv1/weight", 3)[1],
        "max_source_positions": shape("encoder/position_encodings/encodings", 2)[0],
        "max_target_positions": shape("decoder/position_encodings/encodings", 2)[0],
        "suppress_tokens": options.get("suppress_ids"),
        "begin_suppress_tokens": options.get("suppress_ids_begin"),
        **whisper.special_ids(N_V),
    }
    for half in ("encoder", "decoder"):
        heads = f"{half}/num_heads"
        says = heads in tensors and shape(heads, 0) == ()
        config[f"{half}_attention_heads"] = int(tensors[heads]) if says else d_e // 64  # older files do not say
        config[f"{half}_ffn_dim"] = shape(f"{half}/layer_0/ffn/linear_0/weight", 2)[0]
        config[f"{half}_layers"] = sum(
            name.startswith(f"{half}/layer_") and name.endswith("/ffn/linear_1/weight") for name in tensors
        )
    return config
