"""A published model, or one of ours in their form: values of the three architectures, and what belongs to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import numpy as np
import numpy.typing as npt

from ..architectures import (
    d_transformer_logits,
    e_transformer_features,
    e_transformer_logits,
    ed_transformer_logits,
)
from ..runs.architectures import require_architecture

_LOGITS = {
    "decoder": d_transformer_logits,
    "encoder": e_transformer_logits,
    "encoder-decoder": ed_transformer_logits,
}


_READS_NO_TOKENS = {
    "whisper": "formal_tx.speech.whisper_logits",
    **dict.fromkeys(("vit", "deit", "dinov2", "dinov2_with_registers"), "formal_tx.models.vision.vision_model"),
}
"""Families whose sequence, or context, is sound or a picture, and what computes with them."""


class AnyTokenizer(Protocol):
    """Turns text into token ids and back."""

    @property
    def N_V(self) -> int:
        """The size of the vocabulary."""

    def encode(self, text: str) -> npt.NDArray[np.int32]:
        """The ids (ℓ,) of a text."""

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of ids (ℓ,)."""


@dataclass(frozen=True, repr=False)
class Model:
    """A model that computes.

    Attributes:
      architecture: "decoder" (Algorithm 10), "encoder" (9) or "encoder-decoder" (8).
      hyperparameters: of this architecture. params: its parameters.
      family: of what it is one, such as "llama"; empty for a model of no published family.
      tokenizer: None where none came with it.
      config: the config.json that it had, which `save` writes again.
      extras: arrays that are no parameters of the architecture, by the names of their tensors: heads of their own, rows
        of a table that no position has.
    Raises:
      ValueError: there is no such architecture, its hyperparameters are another's, or the tokenizer has more tokens
        than the model. (Models may have more: tables are padded to round sizes.)
    """

    architecture: str
    hyperparameters: Any
    params: Any
    family: str = ""
    tokenizer: AnyTokenizer | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        expected = require_architecture(self.architecture).hyperparameters
        if not isinstance(self.hyperparameters, expected):
            found = type(self.hyperparameters).__name__
            raise ValueError(
                f"the hyperparameters of architecture {self.architecture!r} are {expected.__name__}, not {found}"
            )
        if self.tokenizer is not None and self.tokenizer.N_V > self.hyperparameters.N_V:
            raise ValueError(
                f"the tokenizer has {self.tokenizer.N_V} tokens, and the vocabulary of the model only "
                f"{self.hyperparameters.N_V}: it belongs to another model"
            )

    def logits(self, *ids: npt.ArrayLike, **arguments: Any) -> jax.Array:
        """The architecture applied, up to its softmax: (..., ℓ, N_V) for token ids (..., ℓ).

        An encoder-decoder takes two sequences, context and primary. Further arguments, such as `lengths`, and errors
        are those of `d_transformer_logits`, `e_transformer_logits` and `ed_transformer_logits`.

        Raises:
          ValueError: the model reads sound or pictures; says what computes with those.
        """
        if self.family in _READS_NO_TOKENS:
            raise ValueError(
                f"a model of the family {self.family} reads no tokens first: see {_READS_NO_TOKENS[self.family]}"
            )
        return _LOGITS[self.architecture](*ids, self.params, self.hyperparameters, **arguments)

    def features(self, ids: npt.ArrayLike, **arguments: Any) -> jax.Array:
        """The encoding (..., ℓ, d_e) that an encoder gives token ids (..., ℓ); as `e_transformer_features`.

        Raises:
          ValueError: the model is no encoder.
        """
        if self.architecture != "encoder":
            raise ValueError(f"the architecture is {self.architecture!r}, and only an 'encoder' has features")
        return e_transformer_features(ids, self.params, self.hyperparameters, **arguments)

    def __repr__(self) -> str:
        return f"Model({self.family or self.architecture}, {self.hyperparameters!r})"
