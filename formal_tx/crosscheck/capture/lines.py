"""What a line is to the comparison: what it computes from the lines before, and what it would with a mistake."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Context:
    """What a line is computed from.

    Attributes:
      x: (ℓ,) token ids.
      before: the values of the lines before it, by their names within the layer; "X" is what the layer is given, or
        what the layers have made.
      W: the layer's parameters, or all of them for a line outside of the layers.
      epsilon: of layer norm. causal: whether a token sees only those before it. layer: from 0, or None.
    """

    x: jax.Array
    before: Mapping[str, jax.Array]
    W: Any
    epsilon: float
    causal: bool
    layer: int | None


class Alternative(NamedTuple):
    """What a line would be with a mistake.

    Attributes:
      mistake: its name, that of `formal_tx.diagnosis` where that knows it. title: the mistake in words.
      value: what the line is then.
      fitted: whether `value` has numbers chosen so that it comes close, which explains less than a mistake without.
    """

    mistake: str
    title: str
    value: jax.Array
    fitted: bool = False


@dataclass(frozen=True)
class Line(ABC):
    """A line by its name within the layer, as in `6.X`."""

    name: str

    @abstractmethod
    def value(self, c: Context) -> jax.Array:
        """What the line computes."""

    @abstractmethod
    def alternatives(self, c: Context, theirs: jax.Array) -> Iterator[Alternative]:
        """What it would be with the usual mistakes; `theirs` is for those with a number that has to be found."""


def with_another_bias(
    value: jax.Array, theirs: jax.Array, title: str, mistake: str = "bias-other"
) -> Iterator[Alternative]:
    """`value` and the same vector at every position, if there are enough of them for that to mean anything."""
    if value.shape[-2] > 1:
        yield Alternative(mistake, title, value + jnp.mean(theirs - value, axis=-2, keepdims=True), fitted=True)
