"""How tensors of a GGUF file differ from those of Hugging Face's files of the same model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..forms import AS_IT_IS, Form, heads_of

Array = np.ndarray


@dataclass(frozen=True)
class Halved:
    """Queries or keys whose rows are in the order in which neighbours turn together, (0, 1), (2, 3), …

    What they are here turns in halves, (0, r/2), (1, r/2 + 1), …, as in Hugging Face's files: each head's even rows
    come first, and then the odd ones. Whole rows move, so that nothing is rounded, and hyperparameters, parameters and
    whatever is saved are the same from whichever file the model came.

    `of` says whose heads: "q" or "k"; `inside` is a form of the whole tensor.
    """

    of: str
    inside: Form = AS_IT_IS

    def read(self, tensor: Array, hyperparameters: Any) -> Sequence[Array]:
        (tensor,) = self.inside.read(tensor, hyperparameters)
        return (self._moved(tensor, hyperparameters, (-1, 2)),)

    def write(self, parts: Sequence[Array], hyperparameters: Any) -> Array:
        return self.inside.write((self._moved(parts[0], hyperparameters, (2, -1)),), hyperparameters)

    def _moved(self, tensor: Array, hyperparameters: Any, split: tuple[int, int]) -> Array:
        heads, width = heads_of(self.of, hyperparameters)
        if tensor.shape[0] != heads * width or width % 2:
            raise ValueError(f"has {tensor.shape[0]} rows, expected {heads} heads of {width}, an even number")
        rest = tensor.shape[1:]
        return tensor.reshape(heads, *split, *rest).swapaxes(1, 2).reshape(heads * width, *rest)


@dataclass(frozen=True)
class AboutOne:
    """A scale γ of a norm that multiplies by 1 + γ, of which the file has the 1 + γ."""

    def read(self, tensor: Array, hyperparameters: Any) -> Sequence[Array]:
        return (tensor - np.ones((), tensor.dtype),)

    def write(self, parts: Sequence[Array], hyperparameters: Any) -> Array:
        return parts[0] + np.ones((), parts[0].dtype)
