"""The models of the package glassllm: Llama's form, small enough to be looked at, in an .npz of NumPy.

Their tokenizer, byte-pair encoding of characters, is a JSON file beside it.
"""

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from . import tables
from .family import Family
from .forms import TRANSPOSED, Heads
from .gguf.forms import Halved
from .huggingface import default_dtype, hyperparameters_of, read_json
from .model import Model
from .registry import families
from .tables import row
from .tokenizer import PretrainedTokenizer

CONFIGURATION = "__config__"
_SPECIAL = ("<pad>", "<unk>", "<bos>", "<eos>")
_HEADS = "layers.attention.heads"

_ROWS = (
    row("E", "W_e"),
    row("blocks.{i}.norm1.gamma", "layers.gamma_1"),
    row("blocks.{i}.attn.W_Q", f"{_HEADS}.W_q", Heads("q", Halved("q", TRANSPOSED))),
    row("blocks.{i}.attn.W_K", f"{_HEADS}.W_k", Heads("k", Halved("k", TRANSPOSED))),
    row("blocks.{i}.attn.W_V", f"{_HEADS}.W_v", Heads("v", TRANSPOSED)),
    row("blocks.{i}.attn.W_O", "layers.attention.W_o", TRANSPOSED),
    row("blocks.{i}.norm2.gamma", "layers.gamma_2"),
    row("blocks.{i}.ffn.W1", "layers.W_gate", TRANSPOSED),
    row("blocks.{i}.ffn.W3", "layers.W_mlp1", TRANSPOSED),
    row("blocks.{i}.ffn.W2", "layers.W_mlp2", TRANSPOSED),
    row("norm_f.gamma", "gamma"),
)


def load_glassllm(path: str | os.PathLike[str], dtype: np.dtype | None = None) -> Model:
    """The model in an .npz of glassllm, with the tokenizer from NAME.tokenizer.json beside it, if there is one.

    Its `config` is Llama's, so that it can be saved in the form of Hugging Face.

    Args:
      path: NAME.npz. dtype: of the parameters; float32 unless given, and the files have float16.
    Raises:
      OSError: the file cannot be read.
      ValueError: it is no such file, or broken; a tensor is missing, left over or of the wrong shape; or the tokenizer
        belongs to another model.
    """
    path = Path(path)
    family, hyperparameters = outline_glassllm(path)
    try:
        file = NpzFile(path)
        config = _config(file.configuration)
        params = tables.read(file, _ROWS, family.architecture, hyperparameters, dtype=dtype or default_dtype([]))
        params = jax.tree.map(jax.device_put, params)
        return Model(family.architecture, hyperparameters, params, family.name, _tokenizer(path), config)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def outline_glassllm(path: Path) -> tuple[Family, Any]:
    """The family and the hyperparameters of such a file, whose arrays are not read. Raises as `load_glassllm`."""
    family = families()["llama"]
    try:
        return family, hyperparameters_of(family, _config(NpzFile(path).configuration))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


class NpzFile(Mapping[str, np.ndarray]):
    """The arrays of floats in an .npz by name, and `configuration`, the JSON that one of them holds.

    Raises:
      OSError: the file cannot be read. ValueError: it is no .npz, or an array is not as long as it says.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
            self._names = {info.filename.removesuffix(".npy"): info for info in self._zip.infolist()}
            text = str(self._array(CONFIGURATION))
            self.configuration: Any = json.loads(text)
        except KeyError:
            raise ValueError(f"has no array {CONFIGURATION}, expected one with what the model is") from None
        except json.JSONDecodeError as error:
            raise ValueError(f"the array {CONFIGURATION}: {error}, expected JSON") from None
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"is no .npz: {error}") from None

    def __getitem__(self, name: str) -> np.ndarray:
        return self._array(name)

    def __contains__(self, name: object) -> bool:  # the inherited one would read the array
        return name in self._names and name != CONFIGURATION

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if name != CONFIGURATION)

    def __len__(self) -> int:
        return len(self._names) - 1

    def _array(self, name: str) -> np.ndarray:
        info = self._names[name]
        try:
            with self._zip.open(info) as content:
                _require_length(content, info.file_size)
            with self._zip.open(info) as content:
                return np.lib.format.read_array(content, allow_pickle=False)
        except (ValueError, EOFError, OSError, zipfile.BadZipFile, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
            raise ValueError(f"the array {name}: {error}") from None


def _require_length(content: Any, size: int) -> None:
    """Raise `ValueError` unless the array is as large as its entry in the archive says: a header can say anything."""
    version = np.lib.format.read_magic(content)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(content)
    found = size - content.tell()
    if prod(shape) * dtype.itemsize != found:
        raise ValueError(f"has shape {shape} of {dtype}, for which {found} bytes are there")


def _config(said: Any) -> dict[str, Any]:
    """The config.json of Llama that says the same."""
    names = {
        "vocab_size": "vocab_size",
        "d_model": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "n_kv_heads": "num_key_value_heads",
        "max_len": "max_position_embeddings",
        "rope_base": "rope_theta",
        "eps": "rms_norm_eps",
    }
    missing = [name for name in names if not isinstance(said, dict) or name not in said]
    if missing:
        raise ValueError(f"the array {CONFIGURATION} does not say {', '.join(missing)}")
    config = {theirs: said[ours] for ours, theirs in names.items()}
    for name, value in config.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise ValueError(f"the array {CONFIGURATION} says {name} = {value!r}, expected a positive number")
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        **config,
        "intermediate_size": int(8 * config["hidden_size"] / 3),
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        **{f"{name[1:-1]}_token_id": i for i, name in enumerate(_SPECIAL) if name != "<unk>"},
    }


def _tokenizer(path: Path) -> PretrainedTokenizer | None:
    """The tokenizer beside a model: spaces are ▁, and merges stay within a word and the space before it."""
    beside = path.with_name(f"{path.stem}.tokenizer.json")
    if not beside.is_file():
        return None
    content = read_json(beside)
    try:
        merges = [(left, right) for left, right in content["merges"]]
        tokens = [*_SPECIAL, *content["alphabet"], *(left + right for left, right in merges)]
        vocabulary = {token: i for i, token in enumerate(tokens)}
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>"))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"{beside.name} is no tokenizer of glassllm: {type(error).__name__}: {error}") from None
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n|▁*[^▁\n]+|▁+"), "isolated")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("<unk>", "⁇"), decoders.Replace("▁", " "), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in _SPECIAL if token != "<unk>"])
    tokenizer.encode_special_tokens = True  # what is written like one is text
    return PretrainedTokenizer(tokenizer)
