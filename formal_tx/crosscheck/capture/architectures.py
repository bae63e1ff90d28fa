"""The lines of Algorithms 10 and 9 that a Hugging Face model shows, in their order."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...architectures import d_transformer_logits, e_transformer_logits
from .attending import Answer, Weights
from .linear import Hidden, Joined, Logits, Projection
from .lines import Line
from .tokenwise import MLP, Embedded, Embedding, Norm, Residual

_AT = "mh_attention/attention/"


@dataclass(frozen=True)
class Architecture:
    """An algorithm as a sequence of lines.

    Attributes:
      number: of the algorithm. logits: the library's function, up to the softmax.
      before, layer, after: its lines, those of the layer by their names within it. The layer's last is its result.
      causal: whether a token sees only those before it.
    """

    number: int
    logits: Callable[..., Any]
    before: tuple[Line, ...]
    layer: tuple[Line, ...]
    after: tuple[Line, ...]
    causal: bool

    def places(self, L: int) -> list[tuple[str, int | None, Line]]:
        """For each line in order its whole name, its layer and itself."""
        layers = [(f"layers/{i}/{line.name}", i, line) for i in range(L) for line in self.layer]
        return [
            *((line.name, None, line) for line in self.before),
            *layers,
            *((line.name, None, line) for line in self.after),
        ]

    def names(self, L: int) -> list[str]:
        """The names of its lines in order, for L layers."""
        return [name for name, _, _ in self.places(L)]


def _attention(of: str) -> tuple[Line, ...]:
    """Multi-head self-attention of a line."""
    return (
        Projection(f"{_AT}1.Q", of, "q"),
        Projection(f"{_AT}2.K", of, "k"),
        Projection(f"{_AT}3.V", of, "v"),
        Weights(f"{_AT}6.A"),
        Answer(f"{_AT}6.V_tilde"),
        Joined("mh_attention/4.V_tilde", f"{_AT}6.V_tilde"),
    )


ARCHITECTURES = {
    "gpt2": Architecture(
        number=10,
        logits=d_transformer_logits,
        before=(Embedding("2.e"), Embedded("3.X")),
        layer=(
            Norm("5.X_tilde", "X", "gamma_1", "beta_1"),
            *_attention("5.X_tilde"),
            Residual("6.X", "5.X_tilde"),
            Norm("7.X_tilde", "6.X", "gamma_2", "beta_2"),
            MLP("8.X", "7.X_tilde"),
        ),
        after=(Norm("10.X", "X", "gamma", "beta"), Logits("logits", "10.X")),
        causal=True,
    ),
    "bert": Architecture(
        number=9,
        logits=e_transformer_logits,
        before=(Embedding("2.e"), Embedded("3.X")),
        layer=(
            *_attention("X"),
            Residual("5.X", "X"),
            Norm("6.X", "5.X", "gamma_1", "beta_1"),
            MLP("7.X", "6.X"),
            Norm("8.X", "7.X", "gamma_2", "beta_2"),
        ),
        after=(Hidden("10.X"), Norm("11.X", "10.X", "gamma", "beta"), Logits("logits", "11.X")),
        causal=False,
    ),
}
"""By Hugging Face's `model_type`."""
