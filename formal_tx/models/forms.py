"""How a tensor of a file holds parameters: as it is, transposed, by heads, several in one.

A form reads one tensor (of one layer) into parameters, and writes them back to the same bits. What of a tensor is no
parameter, and has to come back all the same, is an extra: `keep` says what it is, and `restore` puts it back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray


class Form(Protocol):
    """Between a tensor of a file and the parameters that it holds."""

    def read(self, tensor: Array, hyperparameters: Any) -> Sequence[Array]:
        """The parameters; raises `ValueError` if the tensor has not the shape for it."""

    def write(self, parts: Sequence[Array], hyperparameters: Any) -> Array:
        """The tensor."""


class Keeping(Form, Protocol):
    """A form of tensors of which a part is no parameter."""

    def keep(self, tensor: Array) -> Array:
        """That part."""

    def restore(self, tensor: Array, kept: Array | None) -> Array:
        """What `write` gave, with that part; without one there are zeros."""


@dataclass(frozen=True)
class AsItIs:
    """One parameter, as it is."""

    def read(self, tensor: Array, hyperparameters: Any) -> Sequence[Array]:
        return (tensor,)

    def write(self, parts: Sequence[Array], hyperparameters: Any) -> Array:
        return parts[0]


@dataclass(frozen=True)
class Transposed:
    """A matrix that the file has as (in, out)."""

    def read(self, tensor: Array, hyperparameters: Any) -> Sequence[Array]:
        return (tensor.T,)

    def write(self, parts: Sequence[Array], hyperparameters: Any) -> Array:
        return parts[0].T


@dataclass(frozen=True)
class Reshaped:
    """One parameter under another shape, such as the (1, N_V) of a bias.

    `shape(hyperparameters)` is the tensor's in the file; the parameter's own may hold -1.
    """

    shape: Callable[[Any], tuple[int, ...]]
    own: tuple[int, ...] = (-1,)

    def read(self, tensor: Array, hyperparameters: Any) -> Sequence[Array]:
        _require(tensor, self.shape(hyperparameters))
        return (tensor.reshape(self.own),)

    def write(self, parts: Sequence[Array], hyperparameters: Any) -> Array:
        return parts[0].reshape(self.shape(hyperparameters))


@dataclass(frozen=True)
class Heads:
    """The rows of all heads below each other, (heads · width, …) in the file, (heads, width, …) here.

    `of` says whose heads: "q", "k" or "v"; `inside` is a form of the whole tensor, before it is split into heads.
    """

    of: str
    inside: Form = AsItIs()

    def read(self, tensor: Array, hyperparameters: Any) -> Sequence[Array]:
        (tensor,) = self.inside.read(tensor, hyperparameters)
        heads, width = heads_of(self.of, hyperparameters)
        _require(tensor, (heads * width, *tensor.shape[1:]))
        return (tensor.reshape(heads, width, *tensor.shape[1:]),)

    def write(self, parts: Sequence[Array], hyperparameters: Any) -> Array:
        joined = parts[0].reshape(-1, *parts[0].shape[2:])
        return self.inside.write((joined,), hyperparameters)


@dataclass(frozen=True)
class Fused:
    """Queries, keys and values in one tensor.

    `order` is "qkv" for all queries, then all keys, then all values; "heads" for each head's query, key and value
    together; "groups" for each key head's queries, its key and its value. `of` says which are there.
    `inside` is a form of the whole tensor.
    """

    order: str = "qkv"
    of: str = "qkv"
    inside: Form = AsItIs()

    def read(self, tensor: Array, hyperparameters: Any) -> Sequence[Array]:
        (tensor,) = self.inside.read(tensor, hyperparameters)
        sizes = [heads_of(part, hyperparameters) for part in self.of]
        rows = [heads * width for heads, width in sizes]
        rest = tensor.shape[1:]
        _require(tensor, (sum(rows), *rest))
        if self.order == "qkv":
            parts = np.split(tensor, np.cumsum(rows)[:-1])
        else:
            groups = self._groups(hyperparameters)
            grouped = tensor.reshape(groups, -1, *rest)
            parts = np.split(grouped, np.cumsum([n // groups for n in rows])[:-1], axis=1)
        return [part.reshape(heads, width, *rest) for part, (heads, width) in zip(parts, sizes, strict=True)]

    def write(self, parts: Sequence[Array], hyperparameters: Any) -> Array:
        rest = parts[0].shape[2:]
        if self.order == "qkv":
            joined = np.concatenate([part.reshape(-1, *rest) for part in parts])
        else:
            groups = self._groups(hyperparameters)
            joined = np.concatenate([part.reshape(groups, -1, *rest) for part in parts], axis=1).reshape(-1, *rest)
        return self.inside.write((joined,), hyperparameters)

    def _groups(self, hyperparameters: Any) -> int:
        return hyperparameters.H if self.order == "heads" else hyperparameters.key_value_heads


@dataclass(frozen=True)
class After:
    """A table whose first rows belong to nothing, and the parameter after them.

    Positions begin at row 2 in OPT and BART, and after the row of the padding in RoBERTa.
    """

    rows: int

    def read(self, tensor: Array, hyperparameters: Any) -> Sequence[Array]:
        return (tensor[self.rows :],)

    def write(self, parts: Sequence[Array], hyperparameters: Any) -> Array:
        return parts[0]

    def keep(self, tensor: Array) -> Array:
        return tensor[: self.rows]

    def restore(self, tensor: Array, kept: Array | None) -> Array:
        first = np.zeros((self.rows, *tensor.shape[1:]), tensor.dtype) if kept is None else kept.astype(tensor.dtype)
        return np.concatenate([first, tensor])


@dataclass(frozen=True)
class Stacked:
    """Several parameters of the same shape below each other, such as a gate and what it lets through."""

    def read(self, tensor: Array, hyperparameters: Any) -> Sequence[Array]:
        _require(tensor, (tensor.shape[0] // 2 * 2, *tensor.shape[1:]))
        return np.split(tensor, 2)

    def write(self, parts: Sequence[Array], hyperparameters: Any) -> Array:
        return np.concatenate(parts)


def heads_of(part: str, hyperparameters: Any) -> tuple[int, int]:
    """How many heads queries ("q"), keys ("k") or values ("v") have, and how wide they are."""
    hp = hyperparameters
    return {"q": (hp.H, hp.d_attn), "k": (hp.key_value_heads, hp.d_attn), "v": (hp.key_value_heads, hp.d_mid)}[part]


def _require(tensor: Array, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise ValueError(f"has shape {tensor.shape}, expected {shape}")


AS_IT_IS, TRANSPOSED, STACKED = AsItIs(), Transposed(), Stacked()
