"""Directories in the form of Hugging Face: config.json, model.safetensors and tokenizer.json."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..runs.model_directory import load_model
from . import tables
from .family import Config, Family
from .memory import require_memory
from .model import Model
from .names import canonical, second_copies
from .pickles import read_pickle
from .registry import family_of
from .safetensors_file import SafetensorsFile, Shards
from .tokenizer import PretrainedTokenizer

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
PICKLE = "pytorch_model.bin"


def load_huggingface(directory: Path, dtype: np.dtype | None = None) -> Model:
    """The model in a directory. As `load`, which says what it raises."""
    config = read_json(directory / CONFIG)
    if "format" in config and "hyperparameters" in config:
        return _of_our_own(directory, dtype)
    try:
        family = family_of(config)
        hyperparameters = hyperparameters_of(family, config)
    except ValueError as error:
        raise ValueError(f"{directory / CONFIG}: {error}") from None
    file = open_tensors(directory)
    outlines = _outlines(file)
    dtype = dtype or default_dtype([kind for kind, _ in outlines.values()])
    require_memory(directory, outlines, dtype)
    tokenizer = None
    if (directory / TOKENIZER).is_file():
        tokenizer = PretrainedTokenizer.load(directory / TOKENIZER)
    try:
        params, extras = parameters_of(file, family, hyperparameters, dtype)
        return Model(family.architecture, hyperparameters, params, family.name, tokenizer, config, extras)
    except ValueError as error:
        raise ValueError(f"{directory}: {error}") from None


def _of_our_own(directory: Path, dtype: np.dtype | None) -> Model:
    """What `formal-tx train` wrote, whose configuration says other things."""
    model = load_model(directory)
    params = model.params if dtype is None else jax.tree.map(lambda W: W.astype(dtype), model.params)
    return Model(model.architecture, model.hyperparameters, params, tokenizer=model.tokenizer)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
      OSError: the file cannot be read. ValueError: it is something else.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}, expected JSON") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: {error}, expected JSON") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} has a {type(content).__name__}, expected an object")
    return content


def hyperparameters_of(family: Family, config: Config) -> Any:
    """The hyperparameters that a config.json of this family says.

    Raises:
      ValueError: an entry is missing, has a value that makes no sense, or one that is not supported.
    """
    if config.get("quantization_config"):
        raise ValueError("quantization_config is given, and quantised weights are read from GGUF files alone")
    try:
        return family.hyperparameters(config)
    except KeyError as error:
        raise ValueError(f"there is no entry {error}") from None
    except (TypeError, AttributeError, ArithmeticError, IndexError) as error:
        raise ValueError(f"an entry has a value of another type than expected: {error}") from None


def open_tensors(directory: Path) -> Mapping[str, np.ndarray]:
    """The tensors of a directory by name: memory-mapped from safetensors, or from a pickle without running it.

    Raises:
      FileNotFoundError: there are no weights. ValueError: a file is not what its name says.
    """
    if (directory / WEIGHTS).is_file():
        return SafetensorsFile(directory / WEIGHTS)
    if (directory / f"{WEIGHTS}.index.json").is_file():
        return Shards(directory / f"{WEIGHTS}.index.json")
    if (directory / PICKLE).is_file():
        return read_pickle(directory / PICKLE)
    raise FileNotFoundError(f"{directory} has no weights: no {WEIGHTS}, {WEIGHTS}.index.json or {PICKLE}")


def _outlines(tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[Any, tuple[int, ...]]]:
    if isinstance(tensors, SafetensorsFile | Shards):
        return tensors.outlines()
    return {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}


def default_dtype(kinds: list[Any]) -> np.dtype:
    """The type of parameters from tensors of these types, if none is asked for."""
    wide = jax.config.read("jax_enable_x64") and np.dtype(np.float64) in kinds
    return np.dtype(np.float64 if wide else np.float32)


def parameters_of(
    tensors: Mapping[str, np.ndarray], family: Family, hyperparameters: Any, dtype: np.dtype
) -> tuple[Any, dict[str, np.ndarray]]:
    """The parameters in tensors under the names of Hugging Face, on the device, and the extras.

    Raises:
      ValueError: names the tensors that are missing, left over, or of another shape or type than expected.
    """
    rows = tables.present(family.rows(hyperparameters), family.architecture, hyperparameters)
    tensors = canonical(tensors, family, rows)
    copies = [f"^{re.escape(name)}$" for name in second_copies(tensors, family, rows)]
    ignored = [*family.ignored, *family.kept, *copies]
    extras = tables.extras(tensors, rows, family.kept)
    extras = {name: E.astype(dtype) if jnp.issubdtype(E.dtype, jnp.floating) else E for name, E in extras.items()}
    params = tables.read(tensors, rows, family.architecture, hyperparameters, ignored, dtype)
    leaves, structure = jax.tree.flatten(params)
    del params
    for i, leaf in enumerate(leaves):  # one by one, so that no more than one is in memory twice
        # What is a part of the file is copied: the file may change, and the model should not.
        leaves[i] = jax.block_until_ready(jax.device_put(leaf if leaf.flags.owndata else leaf.copy()))
    return jax.tree.unflatten(structure, leaves), extras
