"""The algorithms: their numbers, what they do, where both editions live, and how each edition is called on a case."""

import difflib
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import pseudocode
from .pseudocode import Listing


@dataclass(frozen=True, eq=False)
class Algorithm:
    """One numbered algorithm and its two editions.

    Attributes:
      number: the paper's; 0 for a formula without a number.
      name: the function's name in both editions.
      purpose: what it does, in a few words.
      signature: the positional arguments with which somebody else's function is called.
      module: the name of the library module that holds it.
      functions: the jitted functions whose tagged lines are this algorithm's.
      sources: the library's functions in which these lines are written, in the order in which they run; "module:name"
        for one that stands in another module.
      sums: for a line, the axes over which it sums; the longest axis of all where a line is not named.
      stops: whether its loop may end before the library's, whose number of steps is static.
      beside: the file that holds it, where it stands beside another algorithm.
    """

    number: int
    name: str
    purpose: str
    signature: tuple[str, ...]
    module: str
    functions: tuple[str, ...]
    sources: tuple[str, ...]
    sums: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    stops: bool = False
    beside: str = ""

    @property
    def paper_name(self) -> str:
        """The name of the pseudocode's function."""
        return self.name

    @property
    def listing(self) -> Listing:
        """The source of the pseudocode."""
        return pseudocode.listing(self.file, self.paper_name)

    @property
    def file(self) -> str:
        """The pseudocode's file, without its ending, in the folder of the pseudocode."""
        return self.beside or f"algorithm_{self.number:02d}_{self.name}"

    @property
    def trains(self) -> bool:
        """Whether it is a training algorithm, whose pseudocode takes gradients by differences."""
        return "epochs" in self.signature

    @property
    def label(self) -> str:
        """What a report calls it: its number and name, or its name alone."""
        return f"Algorithm {self.number}, {self.name}" if self.number else self.name

    @property
    def paper(self) -> Callable[..., Any]:
        """The function of the pseudocode."""
        return getattr(pseudocode.module(self.file), self.paper_name)

    @property
    def library(self) -> Callable[..., Any]:
        """The function of the library."""
        return getattr(importlib.import_module(self.module), self.name)


@dataclass(frozen=True, eq=False, kw_only=True)
class Variation(Algorithm):
    """What the paper does not have and models do, in two editions; it knows itself how each is called on a case.

    Attributes:
      number: 0. beside: the pseudocode's module, `variations.norm` for one.
      pseudocode_name: the name of its function.
      draw: its cases: (rng, how many random ones) -> `Case`s.
      paper_arguments: the pseudocode's arguments on a case, by position and by name.
      run: (a case, a dtype) -> the library's result and its lines by `number.variable`, rows are tokens.
    """

    number: int = 0
    signature: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    pseudocode_name: str
    draw: Callable[..., Iterable[Any]]
    paper_arguments: Callable[[Any], tuple[tuple[Any, ...], dict[str, Any]]]
    run: Callable[[Any, Any], tuple[Any, dict[str, Any]]]

    @property
    def paper_name(self) -> str:
        return self.pseudocode_name

    @property
    def file(self) -> str:
        return self.beside.replace(".", "/")


_TRAINING = ("params", "hyperparameters", "epochs", "eta")

ALGORITHMS: tuple[Algorithm, ...] = (
    Algorithm(
        number=1,
        name="token_embedding",
        purpose="the vector that stands for a token",
        signature=("v", "W_e"),
        module="formal_tx.embedding",
        functions=("token_embedding",),
        sources=("token_embedding",),
        sums={1: ()},
    ),
    Algorithm(
        number=2,
        name="positional_embedding",
        purpose="the vector that stands for a position",
        signature=("t", "W_p"),
        module="formal_tx.embedding",
        functions=("positional_embedding",),
        sources=("positional_embedding",),
        sums={1: ()},
    ),
    Algorithm(
        number=3,
        name="basic_single_query_attention",
        purpose="one token asks, its context answers",
        signature=("e", "context", "params"),
        module="formal_tx.attention",
        functions=("basic_single_query_attention",),
        sources=("basic_single_query_attention",),
        sums={1: ("d_in",), 2: ("d_in",), 3: ("d_in",), 4: ("d_attn", "T"), 5: ("T",)},
    ),
    Algorithm(
        number=4,
        name="attention",
        purpose="one masked head of self- or cross-attention",
        signature=("X", "Z", "params", "mask"),
        module="formal_tx.attention",
        functions=("attention",),
        sources=("attention", "Attending.weights", "formal_tx.attend:dense"),
        sums={1: ("d_x",), 2: ("d_z",), 3: ("d_z",), 4: ("d_attn",), 5: ("d_attn",), 6: ("d_attn", "l_z")},
    ),
    Algorithm(
        number=5,
        name="mh_attention",
        purpose="several heads, stacked and mixed",
        signature=("X", "Z", "params", "mask"),
        module="formal_tx.attention",
        functions=("mh_attention",),
        sources=("mh_attention", "join_heads"),
        sums={2: ("d_attn", "l_z"), 3: ("d_attn", "l_z"), 4: ("H", "d_mid")},
    ),
    Algorithm(
        number=6,
        name="layer_norm",
        purpose="normalises the features of a token",
        signature=("e", "gamma", "beta", "epsilon"),
        module="formal_tx.normalization",
        functions=("layer_norm",),
        sources=("layer_norm",),
        sums={1: ("d_e",), 2: ("d_e",), 3: ("d_e",)},
    ),
    Algorithm(
        number=7,
        name="unembedding",
        purpose="from an encoding to a distribution over the vocabulary",
        signature=("e", "W_u"),
        module="formal_tx.embedding",
        functions=("unembedding",),
        sources=("unembedding",),
        sums={1: ("d_e", "N_V")},
    ),
    Algorithm(
        number=8,
        name="ed_transformer",
        purpose="encoder-decoder transformer, the original one",
        signature=("z", "x", "params", "hyperparameters"),
        module="formal_tx.architectures",
        functions=("ed_transformer", "ed_transformer_logits"),
        sources=("encode", "encode_embedded", "decode", "ed_transformer"),
    ),
    Algorithm(
        number=9,
        name="e_transformer",
        purpose="encoder-only transformer, BERT",
        signature=("x", "params", "hyperparameters"),
        module="formal_tx.architectures",
        functions=("e_transformer", "e_transformer_logits"),
        sources=("e_encode", "e_layers", "e_features", "e_transformer"),
    ),
    Algorithm(
        number=10,
        name="d_transformer",
        purpose="decoder-only transformer, GPT",
        signature=("x", "params", "hyperparameters"),
        module="formal_tx.architectures",
        functions=("d_transformer", "d_transformer_logits"),
        sources=("d_layers", "d_layers_embedded", "d_transformer"),
    ),
    Algorithm(
        number=11,
        name="ed_training",
        purpose="trains an encoder-decoder on pairs",
        signature=("z", "x", *_TRAINING),
        module="formal_tx.training",
        functions=("ed_training", "ed_loss"),
        sources=("_train", "ed_loss", "ed_training"),
    ),
    Algorithm(
        number=12,
        name="e_training",
        purpose="trains an encoder on masked words",
        signature=("x", *_TRAINING, "replaced"),
        module="formal_tx.training",
        functions=("e_training", "e_loss"),
        sources=("_train", "mask_tokens", "e_loss", "e_training"),
    ),
    Algorithm(
        number=13,
        name="d_training",
        purpose="trains a decoder on next-token prediction",
        signature=("x", *_TRAINING),
        module="formal_tx.training",
        functions=("d_training", "d_loss"),
        sources=("_train", "d_loss", "d_training"),
    ),
    Algorithm(
        number=14,
        name="d_inference",
        purpose="prompts a trained decoder",
        signature=("x", "params", "hyperparameters", "length", "temperature", "sample"),
        module="formal_tx.inference.algorithms",
        functions=("_d_inference",),
        sources=("_d_inference", "d_inference"),
        stops=True,
    ),
    Algorithm(
        number=15,
        name="ed_inference",
        purpose="predicts a sequence with a trained encoder-decoder",
        signature=("z", "params", "hyperparameters", "temperature", "sample"),
        module="formal_tx.inference.algorithms",
        functions=("_ed_inference",),
        sources=("_ed_inference",),
        stops=True,
    ),
)

FORMULAS: tuple[Algorithm, ...] = (
    Algorithm(
        number=0,
        name="sinusoidal_positions",
        purpose="the hard-coded positional table of section 5",
        signature=("l_max", "d_e"),
        module="formal_tx.embedding",
        functions=("sinusoidal_positions",),
        sources=("sinusoidal_positions",),
        beside="algorithm_02_positional_embedding",
    ),
)
"""What the paper defines without a numbered algorithm; the numbers of its lines are ours."""


def find(number_or_name: int | str, also: Iterable[Algorithm] = ()) -> Algorithm:
    """The algorithm of that number or name; `also` has others that have a name.

    Raises:
      KeyError: says which exist, and the nearest name.
    """
    known = (*ALGORITHMS, *FORMULAS, *also)
    for algorithm in known:
        if str(number_or_name) in (algorithm.name, str(algorithm.number or algorithm.name)):
            return algorithm
    near = difflib.get_close_matches(str(number_or_name), [a.name for a in known], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise KeyError(
        f"there is no algorithm {number_or_name}: they are 1 to {len(ALGORITHMS)}, see `formal-tx list`{hint}"
    )
