"""The static hyperparameters of Algorithms 8, 9 and 10."""

from dataclasses import dataclass
from math import inf
from typing import Any

from .vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Hyperparameters(Vocabulary):
    """What the three architectures have in common.

    Attributes:
      l_max: longest sequence, in tokens.
      H: heads of each attention layer.
      d_e: width of a token's embedding.
      d_mlp: width inside the MLP.
      N_V: vocabulary size; the last three tokens are `mask_token`, `bos_token` and `eos_token`.
      d_attn: width of a query and of a key in a head; d_e / H unless given (the paper leaves it open, E27).
      d_mid: width of a value in a head; d_e / H unless given.
      epsilon: added to the variance in every layer norm; 0 is the paper as printed (E10).
      tied_embeddings: the unembedding matrix is `W_e` itself, and the parameters have no `W_u` (section 5's option).
    Raises:
      ValueError: names the hyperparameter, its value and what was expected.
    """

    l_max: int
    H: int
    d_e: int
    d_mlp: int
    N_V: int
    d_attn: int | None = None
    d_mid: int | None = None
    epsilon: float = 1e-5
    tied_embeddings: bool = False

    def __post_init__(self):
        for name in ("l_max", "H", "d_e", "d_mlp", "N_V"):
            self._require_integer(name, at_least=1)
        for name in ("d_attn", "d_mid"):
            if getattr(self, name) is None:
                if self.d_e % self.H:
                    raise ValueError(f"H = {self.H} does not divide d_e = {self.d_e}: choose another H, or give {name}")
                object.__setattr__(self, name, self.d_e // self.H)
            self._require_integer(name, at_least=1)
        epsilon: Any = self.epsilon
        if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 <= epsilon < inf:
            raise ValueError(f"epsilon is {epsilon!r}, expected a finite number of at least 0")
        tied: Any = self.tied_embeddings
        if not isinstance(tied, bool):
            raise ValueError(f"tied_embeddings is {tied!r}, expected True or False")

    def _require_integer(self, name: str, at_least: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
            raise ValueError(f"{name} is {value!r}, expected an integer of at least {at_least}")


@dataclass(frozen=True, kw_only=True)
class DTransformerHyperparameters(Hyperparameters):
    """Algorithm 10's: the common ones and L, the number of layers."""

    L: int

    def __post_init__(self):
        super().__post_init__()
        self._require_integer("L", at_least=0)


@dataclass(frozen=True, kw_only=True)
class ETransformerHyperparameters(Hyperparameters):
    """Algorithm 9's: the common ones, L, and d_f, the width of the final projection (d_e unless given)."""

    L: int
    d_f: int | None = None

    def __post_init__(self):
        super().__post_init__()
        self._require_integer("L", at_least=0)
        if self.d_f is None:
            object.__setattr__(self, "d_f", self.d_e)
        self._require_integer("d_f", at_least=1)
        if self.tied_embeddings and self.d_f != self.d_e:
            raise ValueError(f"tied embeddings need d_f = d_e, and d_f = {self.d_f}, d_e = {self.d_e}")


@dataclass(frozen=True, kw_only=True)
class EDTransformerHyperparameters(Hyperparameters):
    """Algorithm 8's: the common ones, L_enc and L_dec, the numbers of layers of encoder and decoder."""

    L_enc: int
    L_dec: int

    def __post_init__(self):
        super().__post_init__()
        self._require_integer("L_enc", at_least=0)
        self._require_integer("L_dec", at_least=0)
