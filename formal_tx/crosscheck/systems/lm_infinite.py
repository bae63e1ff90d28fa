"""LM-Infinite: the Λ of a head as it is defined, and as its authors compute it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ...attention import Attending
from ...implementation import attend_with
from ...long_context.lm_infinite import lambda_attention
from ...positional import Alibi, Rotary
from ...tagging import reap
from .. import draws, pseudocode
from ..catalog import Variation
from ..variations.entry import Draw, entry
from .system import System

D_ATTN, D_MID = 6, 5
ROTARY = Rotary(base=50.0)
ROTATING = Attending(rotate=ROTARY)
_SLOPE = 0.5
_ALIBI = Alibi(largest_exponent=1.0)
"""The only head has the slope 1/2."""


def heads(rng: np.random.Generator, l: int) -> dict[str, Any]:
    """Queries, keys and values of a head, a row for each token."""
    return {name: draws.normal(rng, l, d) for name, d in (("Q", D_ATTN), ("K", D_ATTN), ("V", D_MID))}


def frequencies() -> np.ndarray:
    """Those of `ROTARY`, by the pseudocode."""
    return pseudocode.module("positional.rotary").frequencies(D_ATTN, ROTARY.base)


def _draw(l: int, first: int, window: int, ceiling: int | None = None) -> Draw:
    """A head and its frequencies; the ceiling is the window unless given."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        sizes = {"first": first, "window": window, "ceiling": window if ceiling is None else ceiling}
        return heads(rng, l) | {"theta": frequencies()} | sizes

    return draw


def columns(a: dict[str, Any]) -> tuple[Any, ...]:
    """The pseudocode's arguments: rows as columns, and the rest as it is."""
    return tuple(value.T if name in ("Q", "K", "V") else value for name, value in a.items())


def _library(implementation: str, attending: Attending = ROTATING) -> Callable[[dict[str, Any]], Any]:
    def library(a: dict[str, Any]) -> Any:
        options = {name: a[name] for name in ("first", "window", "ceiling")} | {"attending": attending}
        with attend_with(implementation):
            return jax.jit(reap(lambda Q, K, V: lambda_attention(Q, K, V, **options)))(a["Q"], a["K"], a["V"])

    return own(library)


def own(library: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """The same with its lines by their numbers, without the functions in which they stand."""

    def numbered(a: dict[str, Any]) -> Any:
        result, lines = library(a)
        return result, {path.rsplit("/", 1)[-1]: value for path, value in lines.items()}

    return numbered


_HARD = (
    ("length 1", _draw(1, 4, 3)),
    ("no first tokens", _draw(13, 0, 5)),
    ("itself and the first", _draw(13, 1, 1)),
    ("the window is the sequence", _draw(11, 3, 11)),
    ("first tokens alone, all of them", _draw(7, 11, 1)),
    ("twice the window, and one more", _draw(11, 2, 5)),
)
_OTHER_CEILINGS = (
    ("the ceiling below the window", _draw(17, 3, 7, 2)),
    ("the ceiling above the window", _draw(17, 3, 5, 11)),
    ("the ceiling 0", _draw(13, 2, 5, 0)),
)


def _lambda_attention() -> Variation:
    return entry(
        "lambda_attention",
        "the first keys and the near ones, distances below a ceiling",
        module="formal_tx.long_context.lm_infinite",
        beside="long_context.lm_infinite",
        draw=_draw(17, 3, 7),
        paper=columns,
        library=_library("dense"),
        hard=(*_HARD, *_OTHER_CEILINGS),
        functions=("lambda_attention", "formal_tx.long_context.first_and_near:_at_once"),
    )


def _of_authors() -> Variation:
    """The blocks have no lines of their own: what is compared is the result."""
    return entry(
        "lambda_attention_of_authors",
        "the same for a ceiling that is the window, block by block",
        module="formal_tx.long_context.lm_infinite",
        beside="long_context.lm_infinite",
        draw=_draw(67, 3, 7),
        paper=columns,
        library=_library("blockwise"),
        hard=(*_HARD, ("three blocks", _draw(139, 5, 67))),
        functions=("formal_tx.long_context.first_and_near:_by_blocks",),
    )


def _with_alibi() -> Variation:
    """With what ALiBi adds at a distance; m is the slope."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        return heads(rng, 17) | {"theta": frequencies(), "first": 3, "window": 7, "ceiling": 5, "m": _SLOPE}

    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        *arguments, m = columns(a)
        return *arguments, lambda distance: -m * distance

    def library(a: dict[str, Any]) -> Any:
        with_heads = a | {name: a[name][None] for name in ("Q", "K", "V")}
        result, lines = _library("dense", Attending(rotate=ROTARY, score=_ALIBI))(with_heads)
        return result[0], {name: value[0] for name, value in lines.items()}

    return entry(
        "lambda_attention_with_alibi",
        "the same with a penalty for distances",
        module="formal_tx.long_context.lm_infinite",
        beside="long_context.lm_infinite",
        pseudocode_name="lambda_attention",
        draw=draw,
        paper=paper,
        library=library,
        functions=("lambda_attention", "formal_tx.long_context.first_and_near:_at_once"),
    )


SYSTEMS = (
    System(
        name="lm_infinite",
        title="LM-Infinite: Λ-shaped attention with a ceiling for distances",
        heading="long_context",
        papers=("2308.16137",),
        checks=(_lambda_attention(), _of_authors(), _with_alibi()),
    ),
)
