"""Models from GGUF files."""

import os
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from .. import tables
from ..family import Family
from ..huggingface import default_dtype, hyperparameters_of
from ..memory import require_memory
from ..model import Model
from ..registry import family_of
from ..tokenizer import PretrainedTokenizer
from .architectures import Architecture, architecture_of
from .entries import Entries
from .file import GGUFFile
from .tokenizer import tokenizer_of


@dataclass(frozen=True)
class Outline:
    """What the header of a file says: nothing of its tensors has been read.

    Attributes:
      file: its tensors by name. entries: its entries.
      architecture: the table of names. config: what its entries say as a config.json of Hugging Face.
      family, hyperparameters: what follows.
    """

    file: GGUFFile
    entries: Entries
    architecture: Architecture
    config: dict[str, Any]
    family: Family
    hyperparameters: Any


def read_outline(path: str | os.PathLike[str]) -> Outline:
    """The outline of a GGUF file. Raises as `load_gguf`."""
    file = GGUFFile(path)
    try:
        entries = Entries(file.header.entries)
        architecture = architecture_of(entries)
        config = architecture.config(entries, file)
        family = family_of(config)
        return Outline(file, entries, architecture, config, family, hyperparameters_of(family, config))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def load_gguf(path: str | os.PathLike[str], dtype: np.dtype | None = None) -> Model:
    """The model in a GGUF file, with its tokenizer and its chat template.

    Its `config` is a config.json of Hugging Face, so that it can be saved in that form.

    Args:
      path: the file, which is memory-mapped.
      dtype: of the parameters; float32 unless given, whatever the file has.
    Raises:
      OSError: the file cannot be read.
      ValueError: it is no GGUF file, or broken; its architecture, a type of its tensors or its tokenizer is not known;
        a tensor is missing, left over or of the wrong shape; or the model does not fit the memory.
    """
    outline = read_outline(path)
    family, hp = outline.family, outline.hyperparameters
    outlines = {name: (np.float32, tensor.shape) for name, tensor in outline.file.header.tensors.items()}
    dtype = dtype or default_dtype([])
    require_memory(path, outlines, dtype)
    try:
        tokenizer = _tokenizer(outline)
        rows, ignored = outline.architecture.rows, outline.architecture.ignored
        params = tables.read(outline.file, rows, family.architecture, hp, ignored, dtype)
        leaves, structure = jax.tree.flatten(params)
        del params
        for i, leaf in enumerate(leaves):  # one by one, so that no more than one is in memory twice
            leaves[i] = jax.device_put(leaf)
        params = jax.tree.unflatten(structure, leaves)
        return Model(family.architecture, hp, params, family.name, tokenizer, outline.config)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _tokenizer(outline: Outline) -> PretrainedTokenizer | None:
    """The tokenizer; None for a file without one, as of models for other things than text."""
    if "tokenizer.ggml.model" not in outline.entries or outline.entries.text("tokenizer.ggml.model") == "none":
        return None
    return tokenizer_of(outline.entries)
