"""A run of every algorithm on an input small enough to look at, and one whose dimensions all differ."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ..crosscheck import draws
from ..crosscheck.catalog import Algorithm
from ..crosscheck.draws import Case
from ..crosscheck.editions import paper_call
from ..crosscheck.record import Recorded, record

Sizes = dict[str, int]


@dataclass(frozen=True)
class Run:
    """What happened when the pseudocode ran.

    Attributes:
      case: its input. arguments: what the function was given, by its own names.
      steps: what its lines assigned, in order.
    """

    algorithm: Algorithm
    case: Case
    arguments: dict[str, Any]
    steps: list[Recorded]


def run(algorithm: Algorithm, case: Case, *, still: bool = False) -> Run:
    """Run the pseudocode on a case.

    Args:
      still: leave θ as it is, where the algorithm would find its gradient by differences, which takes long.
    """
    with jax.enable_x64(True):
        arguments, options = paper_call(algorithm, case, "float64")
    names = inspect.signature(algorithm.paper).parameters
    given = {name: value for name, value in zip(names, arguments, strict=False) if not callable(value)}
    if still and "gradient" in names:
        options["gradient"] = lambda loss, theta: 0.0 * theta
    _, steps = record(algorithm.paper, algorithm.listing, *arguments, **options)
    return Run(algorithm, case, given, steps)


def to_look_at(algorithm: Algorithm) -> Case:
    """A small case: a handful of tokens, a handful of features; fewer where there is a gradient by differences."""
    sizes = _SMALL | _SMALLEST if algorithm.trains else _SMALL
    return _case(algorithm, sizes, epochs=1, N_data=2)


def all_different(algorithm: Algorithm) -> Case:
    """A case in which no two axes have the same size, so that a size says which axis it is."""
    return _case(algorithm, _DIFFERENT, epochs=1, N_data=1)


_SMALL: Sizes = {"N_V": 7, "l_max": 6, "d_e": 4, "d_in": 5, "T": 4, "d_x": 3, "d_z": 4, "l_x": 5, "l_z": 4}
_SMALL |= {"H": 2, "d_attn": 3, "d_mid": 2, "d_out": 2, "d_mlp": 6, "d_f": 5, "L": 2, "L_enc": 2, "L_dec": 2}
_SMALL |= {"l": 4, "l_gen": 3}

_SMALLEST: Sizes = {"N_V": 6, "l_max": 4, "d_e": 3, "H": 1, "d_attn": 2, "d_mid": 2, "d_mlp": 3, "d_f": 4, "l_z": 3}

_DIFFERENT: Sizes = {"N_V": 41, "l_max": 43, "d_e": 11, "d_in": 13, "T": 17, "d_x": 19, "d_z": 23, "l_x": 29, "l_z": 31}
_DIFFERENT |= {"H": 3, "d_attn": 7, "d_mid": 5, "d_out": 37, "d_mlp": 47, "d_f": 53, "L": 2, "L_enc": 2, "L_dec": 2}
_DIFFERENT |= {"l": 16, "l_gen": 10}

_OF_MODEL = ("N_V", "l_max", "d_e", "H", "d_attn", "d_mid", "d_mlp")


def _case(algorithm: Algorithm, sizes: Sizes, epochs: int, N_data: int) -> Case:
    number = algorithm.number
    rng = np.random.default_rng([7, number])
    if number <= 7:
        return _PARTS[number](rng, sizes)
    layers = ("L_enc", "L_dec") if number in (8, 11, 15) else ("L",)
    if algorithm.trains:
        sizes = sizes | dict.fromkeys(layers, 1)
    axes = (*_OF_MODEL, *layers, *(("d_f",) if number in (9, 12) else ()))
    model: Callable[..., dict[str, Any]] = {8: draws.ed_model, 9: draws.e_model}.get(number, draws.d_model)
    if number in (11, 15):
        model = draws.ed_model
    if number == 12:
        model = draws.e_model
    arguments = model(rng, **{axis: sizes[axis] for axis in axes})
    arguments |= _data(rng, number, sizes, N_data)
    lengths: Sizes = {axis: sizes[axis] for axis in _LENGTHS[number]} | {axis: sizes[axis] for axis in layers}
    if algorithm.trains:
        arguments |= {"epochs": epochs, "eta": 0.25, "mask_probability": 0.5, "seed": 4}
        lengths["N_data"] = N_data
    if number in (14, 15):
        arguments |= {"temperature": 1.0, "length": sizes["l_gen"], "seed": _SEEDS[number]}
    return Case("a small input", arguments, draws.sizes_of(arguments, **lengths))


_LENGTHS: dict[int, tuple[str, ...]] = {
    8: ("l_z", "l_x"),
    9: ("l",),
    10: ("l",),
    11: ("l_z", "l"),
    12: ("l",),
    13: ("l",),
    14: ("l", "l_gen"),
    15: ("l_z",),
}
_SEEDS = {14: 0, 15: 179}  # the second draws eos_token as its third token


def _data(rng: np.random.Generator, number: int, sizes: Sizes, N_data: int) -> dict[str, np.ndarray]:
    """The sequences of a model: ordinary tokens, several sequences where it is trained."""

    def tokens(axis: str) -> np.ndarray:
        shape: Iterable[int] = (N_data, sizes[axis]) if number in (11, 12, 13) else (sizes[axis],)
        return rng.integers(0, sizes["N_V"] - 3, tuple(shape))

    primary = "l_x" if number == 8 else "l"
    data = {} if number == 15 else {"x": tokens(primary)}
    return data | ({"z": tokens("l_z")} if number in (8, 11, 15) else {})


def _pick(sizes: Sizes, *axes: str) -> Sizes:
    return {axis: sizes[axis] for axis in axes}


def _seen(sizes: Sizes) -> np.ndarray:
    """The unidirectional mask (l_x, l_z)."""
    return np.tri(sizes["l_x"], sizes["l_z"], dtype=bool)


_HEAD = ("l_x", "l_z", "d_x", "d_z", "d_attn", "d_out")
_PARTS: dict[int, Callable[[np.random.Generator, Sizes], Case]] = {
    1: lambda rng, s: draws.token_embedding(rng, "a token", v=3, **_pick(s, "N_V", "d_e")),
    2: lambda rng, s: draws.positional_embedding(rng, "a position", t=2, **_pick(s, "l_max", "d_e")),
    3: lambda rng, s: draws.single_query(rng, "a query", **_pick(s, "T", "d_in", "d_attn", "d_out")),
    4: lambda rng, s: draws.attention(rng, "unidirectional", _seen(s), **_pick(s, *_HEAD)),
    5: lambda rng, s: draws.mh_attention(rng, "unidirectional", _seen(s), **_pick(s, *_HEAD, "H", "d_mid")),
    6: lambda rng, s: draws.layer_norm(rng, "a token", d_e=s["d_e"]),
    7: lambda rng, s: draws.unembedding(rng, "a token", **_pick(s, "N_V", "d_e")),
}
