"""Models to disk, in a form that other programs read."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..quantization import require_unquantized
from ..runs.files import write_whole
from ..runs.outline import by_name
from . import tables
from .family import Family
from .huggingface import CONFIG, TOKENIZER, WEIGHTS, hyperparameters_of
from .model import Model
from .registry import families
from .safetensors_file import write_safetensors


def save(path: str | os.PathLike[str], model: Model, format: str = "huggingface") -> None:
    """Writes a model to a directory that `AutoModel….from_pretrained` of transformers reads, with the same logits.

    It has config.json, model.safetensors, and tokenizer.json if the model has a tokenizer. A model with a `config` has
    the same one again. One that was made here gets that of the first family whose it can be: GPT-2's if it is Algorithm
    10 with its MLP's activation, Llama's if it is that.

    Args:
      path: the directory, which is made if it does not exist.
      model: `Model`. The type of its parameters is that of the tensors.
      format: "huggingface".
    Raises:
      TypeError: the matrices are quantized. They are those of another file, which can be copied.
      ValueError: there is no such format, no family has these hyperparameters, or the parameters are not of them.
      OSError: a file cannot be written.
    """
    if format != "huggingface":
        raise ValueError(f"format is {format!r}, expected 'huggingface'")
    require_unquantized("save", model.params)
    family, config = _family_and_config(model)
    tensors = tensors_of(model, family)
    config["dtype"] = _float_type(tensors).name
    config.pop("torch_dtype", None)  # what older files call it
    directory = Path(path)
    directory.mkdir(parents=True, exist_ok=True)
    write_safetensors(directory / WEIGHTS, tensors)
    if model.tokenizer is not None:
        model.tokenizer.save(directory / TOKENIZER)  # type: ignore[attr-defined]
    content = json.dumps(config, indent=2, ensure_ascii=False, sort_keys=True)
    write_whole(directory / CONFIG, f"{content}\n".encode())


def tensors_of(model: Model, family: Family) -> dict[str, np.ndarray]:
    """The tensors of a model under the names of its family.

    Raises:
      ValueError: the parameters are not those of the hyperparameters.
    """
    expected = tables.expected(model.architecture, model.hyperparameters)
    found, wanted = by_name(model.params), by_name(expected)
    differs = next((n for n in found | wanted if n not in found or n not in wanted), None)
    differs = differs or next((n for n, W in wanted.items() if found[n].shape != W.shape), None)
    if differs is not None:
        raise ValueError(f"params.{differs} is not as the hyperparameters of the model say")
    rows = family.rows(model.hyperparameters)
    return tables.write(model.params, rows, model.hyperparameters, model.extras)


def _family_and_config(model: Model) -> tuple[Family, dict[str, Any]]:
    """The family of a model, and its config.json."""
    if model.config and model.family in families():
        return families()[model.family], dict(model.config)
    for family in families().values():
        if family.config is None or family.architecture != model.architecture:
            continue
        config = {"model_type": family.model_types[0], **family.config(model.hyperparameters)}
        if _same(hyperparameters_of(family, config), model.hyperparameters):
            return family, config
    saying = ", ".join(name for name, family in families().items() if family.config is not None)
    raise ValueError(
        f"no family of Hugging Face models that can be written ({saying}) has the hyperparameters of this one, "
        f"{model.hyperparameters!r}"
    )


def _same(a: Any, b: Any) -> bool:
    """Whether hyperparameters are the same, special tokens named or by default."""
    special = [(hp.mask_token, hp.bos_token, hp.eos_token)[1:] for hp in (a, b)]
    return special[0] == special[1] and replace(a, special_tokens=None) == replace(b, special_tokens=None)


def _float_type(tensors: dict[str, np.ndarray]) -> np.dtype:
    return next(jnp.dtype(W.dtype) for W in tensors.values() if jnp.issubdtype(W.dtype, jnp.floating))
