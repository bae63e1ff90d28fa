"""Models from disk: `load` knows of what kind they are by what it finds."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..quantization import quantize
from .huggingface import CONFIG, load_huggingface
from .model import Model

DTYPES = ("float16", "bfloat16", "float32", "float64", "int8")


def load(path: str | os.PathLike[str], dtype: Any = None) -> Model:
    """A model from disk.

    Args:
      path: a directory in the form of Hugging Face (config.json, model.safetensors, whole or in shards, or
        pytorch_model.bin, and tokenizer.json if there is one), a GGUF file, an .npz of glassllm, a model directory of
        CTranslate2, or one that `formal-tx train` wrote.
      dtype: the type of the parameters, "float32", "bfloat16", "float16" or "float64". Unless given, it is float32, to
        which float16 and bfloat16 are widened: models compute in the type of their parameters, and that is the one in
        which a CPU is fast. (float64 stays float64 where JAX has 64-bit types switched on.) With "int8" the matrices
        are what `formal_tx.quantization.quantize` makes of them in float32, a scale for each row: a quarter of the
        memory, and text several times as fast.
    Returns:
      `Model`. Files are memory-mapped; what is in memory are the parameters, and while loading one of them twice.
    Raises:
      OSError: there is no such file, or it cannot be read.
      ValueError: it is none of these; a tensor is missing, left over, or of another shape or type than its
        configuration says (names it); the configuration is of an architecture that is not known (suggests the nearest);
        the tokenizer belongs to another model; or the parameters do not fit the memory (before they are read).
    """
    path, dtype = Path(path), require_dtype(dtype)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file or directory")
    if dtype == np.int8:
        model = load(path, np.float32)
        return replace(model, params=quantize(model.params))
    if path.is_file():
        return _load_file(path, dtype)
    if (path / "model.bin").is_file():
        from .ctranslate2 import load_ctranslate2

        return load_ctranslate2(path, dtype)
    if (path / CONFIG).is_file():
        return load_huggingface(path, dtype)
    raise ValueError(
        f"{path} has no {CONFIG}, as directories in the form of Hugging Face have, and no model.bin, as those of "
        "CTranslate2 have"
    )


def _load_file(path: Path, dtype: Any) -> Model:
    with path.open("rb") as file:
        beginning = file.read(4)
    if path.suffix == ".gguf" or beginning == b"GGUF":
        from .gguf import load_gguf

        return load_gguf(path, dtype)
    if path.suffix == ".npz":
        from .glassllm import load_glassllm

        return load_glassllm(path, dtype)
    if path.suffix in (".safetensors", ".bin", ".json"):
        raise ValueError(f"{path} is one file of a model: give the directory {path.parent}, with its {CONFIG}")
    raise ValueError(f"{path} is no GGUF file, and other models are directories; it begins with {beginning!r}")


def require_dtype(dtype: Any) -> np.dtype | None:
    """The type of parameters that is asked for, if any.

    Raises:
      ValueError: parameters cannot have this type, or JAX has no 64-bit types.
    """
    if dtype is None:
        return None
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        raise ValueError(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}") from None
    if found.name not in DTYPES:
        raise ValueError(f"dtype is {found.name}, expected one of {', '.join(DTYPES)}")
    if found == np.float64 and not jax.config.read("jax_enable_x64"):
        raise ValueError("dtype is float64, for which JAX needs jax_enable_x64")
    return found
