"""The static hyperparameters of Algorithms 8, 9 and 10, and their variations.

A variation is a value of a hyperparameter, often a function. Those that have a default are the algorithms as printed;
GPT-2, Llama and PaLM are values of `DTransformerHyperparameters`, as BERT is one of `ETransformerHyperparameters`.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from math import inf
from typing import Any

import jax
import numpy as np

from .activations import gelu, relu
from .attending import Attending
from .normalization import layer_norm
from .placement import POST, PRE, Norm, Normalise, Norms, Placement
from .vocabulary import Vocabulary


def learned(l_max: int, d_e: int) -> np.ndarray:
    """The positional table W_p of the parameters, as printed: to be initialised, this is what it is at first."""
    return np.zeros((l_max, d_e))


@dataclass(frozen=True)
class Biases:
    """Which biases there are: of queries, keys, values, the attention's output, the MLP, the norms (β), the logits."""

    q: bool = True
    k: bool = True
    v: bool = True
    o: bool = True
    mlp: bool = True
    norm: bool = True
    u: bool = False


NO_BIASES = Biases(q=False, k=False, v=False, o=False, mlp=False, norm=False)
"""None at all."""


@dataclass(frozen=True, kw_only=True, repr=False)
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

    Variations, each of which as printed unless given:
      special_tokens: ids of mask, bos and eos, where they are not the last three.
      H_kv: heads of keys and values, H unless given; H / H_kv consecutive queries share one (1: multi-query attention).
      norm: `layer_norm`, `rms_norm`, …: (e, gamma, beta, *, epsilon) -> e_hat.
      placement: where norms stand: `PRE`, `POST`, `SANDWICH`, `BRANCH`, `SUB_LN`, `PARALLEL`, `PARALLEL_ONE_NORM`.
      activation: of the MLP: `relu`, `gelu`, `gelu_tanh`, `silu`, …
      gated: the MLP has a gate (with `silu` it is SwiGLU).
      biases: which biases there are.
      table: what is added to the embeddings: `learned` (W_p), a function (l_max, d_e) -> table, or None.
      rotate: turns queries and keys by their positions, as `Rotary` does.
      score: changes scaled scores, as `Alibi`, `RelativeBuckets`, `SoftCap` and `InTurn` do.
      scale: what scores are multiplied by; 1 / √d_attn unless given.
      normalise_qk: normalises queries and keys, as `QKNorm` does.
      windows: for each layer, in turn, how many tokens a token sees, itself included; None is all of them.
      embedding_scale: what the embeddings are multiplied by before positions are added.
      embedding_norm: embeddings are normalised before the first layer.
      layer_scale: a sub-layer's output is scaled feature by feature (2103.17239).
      logit_scale: what logits are multiplied by. logit_cap: changes them then, as `SoftCap` does.
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
    special_tokens: tuple[int, int, int] | None = None
    H_kv: int | None = None
    norm: Norm = layer_norm
    placement: Placement = POST
    activation: Callable[[jax.Array], jax.Array] = gelu
    gated: bool = False
    biases: Biases = Biases()
    table: Callable[[int, int], Any] | None = learned
    rotate: Callable[..., jax.Array] | None = None
    score: Callable[..., jax.Array] | None = None
    scale: float | None = None
    normalise_qk: Callable[..., jax.Array] | None = None
    windows: tuple[int | None, ...] = (None,)
    embedding_scale: float = 1.0
    embedding_norm: bool = False
    layer_scale: bool = False
    logit_scale: float = 1.0
    logit_cap: Callable[[jax.Array], jax.Array] | None = None

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
        for name in ("tied_embeddings", "gated", "embedding_norm", "layer_scale"):
            value: Any = getattr(self, name)
            if not isinstance(value, bool):
                raise ValueError(f"{name} is {value!r}, expected True or False")
        self._require_variations()

    def _require_variations(self) -> None:
        special: Any = self.special_tokens
        if special is not None and not (
            isinstance(special, tuple)
            and len(special) == 3
            and all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in special)
        ):
            # Small models may have the ids of a large one's configuration, beyond their vocabulary: nan where used.
            raise ValueError(f"special_tokens is {special!r}, expected the ids of mask, bos and eos")
        if self.H_kv is not None:
            self._require_integer("H_kv", at_least=1)
            if self.H % self.H_kv:
                raise ValueError(f"H_kv is {self.H_kv}, expected a divisor of H = {self.H}")
        for name, kind in (("placement", Placement), ("biases", Biases)):
            value: Any = getattr(self, name)
            if not isinstance(value, kind):
                raise ValueError(f"{name} is {value!r}, expected a {kind.__name__}")
        for name in ("norm", "activation", "table", "rotate", "score", "normalise_qk", "logit_cap"):
            value = getattr(self, name)
            if not callable(value) and (value is not None or name in ("norm", "activation")):
                raise ValueError(f"{name} is {value!r}, expected a function")
        for name in ("scale", "embedding_scale", "logit_scale"):
            value = getattr(self, name)
            if name == "scale" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < inf:
                raise ValueError(f"{name} is {value!r}, expected a finite number greater than 0")
        windows: Any = self.windows
        legal = isinstance(windows, tuple) and windows
        if not legal or any(
            w is not None and (not isinstance(w, int) or isinstance(w, bool) or w < 1) for w in windows
        ):
            raise ValueError(f"windows is {windows!r}, expected a tuple of integers of at least 1, or None")

    def _require_integer(self, name: str, at_least: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
            raise ValueError(f"{name} is {value!r}, expected an integer of at least {at_least}")

    def __repr__(self) -> str:
        """The printed hyperparameters, and the variations that differ from the print."""
        shown = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if self._is_worth_showing(f)]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _is_worth_showing(self, field: Any) -> bool:
        if field.name not in VARIATIONS:
            return True
        if field.name == "H_kv":
            return self.key_value_heads != self.H
        return field.default is MISSING or getattr(self, field.name) != field.default

    def varied(self) -> dict[str, Any]:
        """The variations that differ from the print, by name."""
        return {
            f.name: getattr(self, f.name) for f in fields(self) if f.name in VARIATIONS and self._is_worth_showing(f)
        }

    @property
    def key_value_heads(self) -> int:
        """How many heads keys and values have: H_kv, or H where that is not given."""
        return self.H if self.H_kv is None else self.H_kv

    @property
    def norms(self) -> Norms:
        """The norms of a layer, each where it stands."""
        return self.placement.norms(self.norm, self.epsilon)

    @property
    def normalise(self) -> Normalise:
        """The norm, a function of (X, gamma, beta), wherever it stands."""
        return Normalise(self.norm, self.epsilon)

    @property
    def attending(self) -> Attending:
        """What these hyperparameters change in self-attention."""
        inner = self.norms.inner if self.placement.inner else None
        return Attending(self.rotate, self.score, self.scale, self.normalise_qk, inner)

    def windows_of(self, L: int) -> np.ndarray | None:
        """How many tokens each of `L` layers lets a token see (L,); None where all of them see everything."""
        if all(window is None for window in self.windows):
            return None
        everything = np.iinfo(np.int32).max
        windows = [everything if w is None else w for w in self.windows]
        return np.array([windows[i % len(windows)] for i in range(L)], np.int32)

    def rows_of(self, score: Any) -> int:
        """How many rows the learned table of a score has; 0 where there is none."""
        return 0 if score is None else getattr(score, "rows", 0)


VARIATIONS = (
    *(
        "special_tokens",
        "H_kv",
        "norm",
        "placement",
        "activation",
        "gated",
        "biases",
        "table",
        "rotate",
        "score",
        "scale",
    ),
    *("normalise_qk", "windows", "embedding_scale", "embedding_norm", "layer_scale", "logit_scale", "logit_cap"),
    *("final_norm", "N_S", "head", "decoder_score", "l_max_z", "N_V_z"),
)
"""The names of the hyperparameters that the paper does not have."""


@dataclass(frozen=True, kw_only=True, repr=False)
class DTransformerHyperparameters(Hyperparameters):
    """Algorithm 10's: the common ones and L, the number of layers.

    A variation of its own: `final_norm`, whether there is line 10.
    """

    L: int
    placement: Placement = PRE
    final_norm: bool = True

    def __post_init__(self):
        super().__post_init__()
        self._require_integer("L", at_least=0)


@dataclass(frozen=True, kw_only=True, repr=False)
class ETransformerHyperparameters(Hyperparameters):
    """Algorithm 9's: the common ones, L, and d_f, the width of the final projection (d_e unless given).

    Variations of its own: `final_norm`, a norm after the last layer, which architectures with norms before their
    sub-layers have; `head`, whether there are lines 10 to 12; `N_S`, how many types of tokens have an embedding of
    their own. Without a head N_V may be 0: such an encoder reads vectors (`e_layers`).
    """

    L: int
    d_f: int | None = None
    final_norm: bool = False
    head: bool = True
    N_S: int = 0

    def __post_init__(self):
        super().__post_init__()
        self._require_integer("L", at_least=0)
        self._require_integer("N_S", at_least=0)
        if self.d_f is None:
            object.__setattr__(self, "d_f", self.d_e)
        self._require_integer("d_f", at_least=1)
        if self.tied_embeddings and self.d_f != self.d_e:
            raise ValueError(f"tied embeddings need d_f = d_e, and d_f = {self.d_f}, d_e = {self.d_e}")

    def _require_integer(self, name: str, at_least: int) -> None:
        super()._require_integer(name, 0 if name == "N_V" and not self.head else at_least)


@dataclass(frozen=True, kw_only=True, repr=False)
class EDTransformerHyperparameters(Hyperparameters):
    """Algorithm 8's: the common ones, L_enc and L_dec, the numbers of layers of encoder and decoder.

    Variations of its own: `final_norm`, a norm after the last layer of each; `decoder_score`, the score of the
    decoder's self-attention, which is `score` unless given; `l_max_z`, the longest context, if it has its own table
    of positions; `N_V_z`, the size of its vocabulary, if it has its own table of embeddings.
    """

    L_enc: int
    L_dec: int
    activation: Callable[[jax.Array], jax.Array] = relu
    final_norm: bool = False
    decoder_score: Callable[..., jax.Array] | None = None
    l_max_z: int | None = None
    N_V_z: int | None = None

    def __post_init__(self):
        super().__post_init__()
        self._require_integer("L_enc", at_least=0)
        self._require_integer("L_dec", at_least=0)
        for name in ("l_max_z", "N_V_z"):
            if getattr(self, name) is not None:
                self._require_integer(name, at_least=1)
        if self.placement.parallel:
            raise ValueError("placement is parallel, expected sub-layers in sequence: a decoder's has three of them")

    @property
    def decoder_attending(self) -> Attending:
        """What these hyperparameters change in the decoder's self-attention."""
        attending = self.attending
        score = attending.score if self.decoder_score is None else self.decoder_score
        return Attending(attending.rotate, score, attending.scale, attending.normalise, attending.inner)

    @property
    def cross_attending(self) -> Attending:
        """What these hyperparameters change in the attention to the context: nothing that knows positions."""
        attending = self.attending
        return Attending(None, None, attending.scale, attending.normalise, attending.inner)
