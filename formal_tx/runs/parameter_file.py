"""The parameters of a model in a safetensors file, for this library and for others: each under its path, in float32."""

import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from .. import __version__
from .architectures import ARCHITECTURES, require_architecture
from .files import write_whole
from .outline import by_name, difference, outline

FORMAT = 1


def save_parameters(path: str | os.PathLike[str], params: Any) -> None:
    """Writes the parameters of one of the architectures; the file is there whole or not at all.

    Raises:
      TypeError: they are of no architecture, or one has more digits than float32. OSError: the file cannot be written.
    """
    names = [name for name, architecture in ARCHITECTURES.items() if isinstance(params, architecture.parameters)]
    if not names:
        raise TypeError(f"params is of type {type(params).__name__}, expected the parameters of an architecture")
    named = by_name(params)
    for name, W in named.items():
        if not np.can_cast(W.dtype, np.float32):
            raise TypeError(f"params.{name} has dtype {W.dtype}, expected one that float32 includes")
    tensors = {name: np.asarray(W, np.float32, order="C") for name, W in named.items()}
    metadata = {"format": str(FORMAT), "architecture": names[0], "formal-tx": __version__}
    write_whole(Path(path), _with_sorted_header(save(tensors, metadata)))


def _with_sorted_header(content: bytes) -> bytes:
    """The same file with its header in order: the library writes metadata in any, and equal models are equal files."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # where the tensors begin is a multiple of 8, as the library has it
    return len(header).to_bytes(8, "little") + header + content[end:]


def load_parameters(path: str | os.PathLike[str], hyperparameters: Any, architecture: str) -> Any:
    """The parameters that `save_parameters` wrote, in the pytree that these hyperparameters give.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is no such file, is of another architecture, or has a tensor too few, too many or of another shape.
    """
    initialise = require_architecture(architecture).initialise
    expected = jax.eval_shape(lambda: initialise(jax.random.key(0), hyperparameters))
    named = by_name(expected)
    try:
        with safe_open(path, framework="numpy") as file:
            _require_metadata(path, file.metadata() or {}, architecture)
            names = file.keys()
            found = {name: _outline(file.get_slice(name)) for name in names}
            differs = difference(found, outline(named))
            if differs is not None:
                raise ValueError(f"{path} does not fit {hyperparameters}: {differs}")
            leaves = [jax.device_put(file.get_tensor(name)) for name in named]
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file, or has been cut short: {error}") from error
    return jax.tree.unflatten(jax.tree.structure(expected), leaves)


def _outline(tensor: Any) -> str:
    dtype = tensor.get_dtype()
    return f"{'float32' if dtype == 'F32' else dtype} {tuple(tensor.get_shape())}"


def _require_metadata(path: Any, metadata: dict[str, str], architecture: str) -> None:
    for name, expected in {"format": str(FORMAT), "architecture": architecture}.items():
        if metadata.get(name) != expected:
            raise ValueError(f"{path} has {name} {metadata.get(name)!r} in its metadata, expected {expected!r}")
