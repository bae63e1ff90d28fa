"""The weights in an ONNX file that PyTorch exported, under the names that they have in PyTorch.

The exporter keeps the names of most parameters. A matrix that multiplies from the right has been transposed and renamed
(`onnx::MatMul_1966`); the node that uses it is still named after its module.
"""

import importlib
from collections.abc import Iterator
from os import PathLike
from typing import Any

import numpy as np


def read_onnx(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """The parameters in an ONNX file, matrices (out, in) as in PyTorch.

    Parameters that no node of a module's name reads keep the name that the file has for them.

    Raises:
      ModuleNotFoundError: the package `onnx` is not installed.
      OSError: the file cannot be read. ValueError: it is no ONNX file.
    """
    try:
        onnx: Any = importlib.import_module("onnx")
    except ModuleNotFoundError:
        raise ModuleNotFoundError("ONNX files are read by the package onnx: pip install onnx") from None
    try:
        graph = onnx.load(path).graph
    except OSError:
        raise
    except Exception as error:  # what the parser of the file format raises is not public
        raise ValueError(f"{path} is no ONNX file: {error}") from None
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    renamed = dict(_transposed(graph, tensors))
    return {renamed.get(name, name): W.T if name in renamed else W for name, W in tensors.items()}


def _transposed(graph: Any, tensors: dict[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """The names of transposed matrices, and what PyTorch calls them: of `/layer.0/fc/MatMul`, `layer.0.fc.weight`."""
    for node in graph.node:
        if node.op_type == "MatMul" and len(node.input) == 2 and node.input[1] in tensors and node.name.count("/") > 1:
            module = node.name.strip("/").rsplit("/", 1)[0].replace("/", ".")
            yield node.input[1], f"{module}.weight"
