"""Hierarchical attention: the unit, what it reads, the pooling, and whole documents."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import numpy as np

from ...long_context import gru as units
from ...long_context import hierarchical_attention as han
from ...tagging import reap
from .. import draws, pseudocode
from ..catalog import Variation
from ..editions import lines_of
from ..layout import to_paper
from ..variations.entry import Draw, entry
from .system import System

_MODULE, _BESIDE = "formal_tx.long_context.hierarchical_attention", "long_context.hierarchical_attention"
_UNITS = "formal_tx.long_context.gru"
_SIZES = {"N_V": 19, "e": 7, "h": 3, "a": 11, "C": 5}

Change = Callable[[dict[str, Any]], None]


def _nothing(a: dict[str, Any]) -> None:
    pass


def _model(rng: np.random.Generator, **sizes: int) -> Any:
    return draws.fill(rng, draws.shapes_of(han.init_hierarchical_attention, **_SIZES | sizes))


@cache
def _reaped(f: Callable[..., Any], functions: tuple[str, ...], *static: Any) -> Callable[..., Any]:
    def run(*arguments: Any) -> tuple[Any, dict[str, Any]]:
        result, lines = reap(lambda *given: f(*given, *static))(*arguments)
        return result, lines_of(lines, functions)

    return jax.jit(run)


def _cell() -> Variation:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        params = draws.fill(rng, draws.shapes_of(units.init_gru, d=7, h=5))
        return {"x": draws.normal(rng, 7), "s": draws.normal(rng, 5), "params": params}

    def large(rng: np.random.Generator) -> dict[str, Any]:
        a = draw(rng)
        return a | {"x": 64 * a["x"]}

    return entry(
        "gru_cell",
        "a gated recurrent unit, one step",
        module=_UNITS,
        beside=_BESIDE,
        draw=draw,
        paper=lambda a: (a["x"], a["s"], to_paper(a["params"])),
        library=lambda a: _reaped(units.gru_cell, ("gru_cell", "_cell"))(a["x"], a["s"], a["params"]),
        hard=(("gates that are open or shut", large),),
        functions=("gru_cell", "_cell"),
    )


def _sequences(l: int, change: Change = _nothing, both: bool = True) -> Draw:
    """A sequence whose last rows are padding, and two units, or one."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        both_ways = _model(rng).words
        a = {"X": draws.normal(rng, l, _SIZES["e"]), "params": both_ways if both else both_ways.forward}
        a["real"] = np.arange(l) < max(l - 2, 1)
        change(a)
        return a

    return draw


def _gap(a: dict[str, Any]) -> None:
    a["real"][1] = False


def _empty(a: dict[str, Any]) -> None:
    a["real"][:] = False


def _lengths(both: bool) -> tuple[tuple[str, Draw], ...]:
    return (
        ("padding in between", _sequences(11, _gap, both)),
        ("nothing but padding", _sequences(2, _empty, both)),
        ("length 1", _sequences(1, both=both)),
    )


def _gru() -> Variation:
    return entry(
        "gru",
        "a gated recurrent unit reads a sequence",
        module=_UNITS,
        beside=_BESIDE,
        draw=_sequences(13, both=False),
        paper=lambda a: (a["X"].T, a["real"], to_paper(a["params"])),
        library=lambda a: _reaped(units.gru, ("gru",))(a["X"], a["params"], a["real"]),
        hard=_lengths(both=False),
        functions=("gru",),
    )


def _bidirectional() -> Variation:
    def library(a: dict[str, Any]) -> Any:
        return _reaped(units.bidirectional_gru, ("bidirectional_gru",))(a["X"], a["params"], a["real"])

    return entry(
        "bidirectional_gru",
        "two units read it from both sides",
        module=_UNITS,
        beside=_BESIDE,
        draw=_sequences(13),
        paper=lambda a: (a["X"].T, a["real"], to_paper(a["params"])),
        library=library,
        hard=_lengths(both=True),
        functions=("bidirectional_gru",),
    )


def _states(n: int, change: Change = _nothing, projected: bool | None = None) -> Draw:
    """States of which the last two are padding; and, of what is asked for it, whether they are projected."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        a: dict[str, Any] = {"H": draws.normal(rng, n, 2 * _SIZES["h"]), "params": _model(rng).word_attention}
        a["real"] = np.arange(n) < max(n - 2, 1)
        if projected is not None:
            a["projected"] = projected
        change(a)
        return a

    return draw


def _ties(a: dict[str, Any]) -> None:
    a["H"][:] = a["H"][0]


def _several(projected: bool | None = None) -> tuple[tuple[str, Draw], ...]:
    return (
        ("padding in between", _states(11, _gap, projected)),
        ("nothing but padding", _states(2, _empty, projected)),
        ("length 1", _states(1, projected=projected)),
        ("ties", _states(5, _ties, projected)),
    )


def _weights() -> Variation:
    return entry(
        "attention_weights",
        "how much each state matters to a learned vector",
        module=_MODULE,
        beside=_BESIDE,
        draw=_states(13),
        paper=lambda a: (a["H"].T, a["real"], to_paper(a["params"])),
        library=lambda a: _reaped(han.attention_weights, ("attention_weights",))(a["H"], a["params"], a["real"]),
        hard=_several(),
        functions=("attention_weights",),
    )


def _pooling() -> Variation:
    def library(a: dict[str, Any]) -> Any:
        run = _reaped(han.attention_pooling, ("attention_pooling",))
        if a["projected"]:
            run = _reaped(_projected_pooling, ("attention_pooling",))
        return run(a["H"], a["params"], a["real"])

    return entry(
        "attention_pooling",
        "one vector of several, by what matters",
        module=_MODULE,
        beside=_BESIDE,
        draw=_states(13, projected=False),
        paper=lambda a: (a["H"].T, a["real"], to_paper(a["params"]), a["projected"]),
        library=library,
        hard=(*_several(projected=False), ("what is weighted is U", _states(7, projected=True))),
        functions=("attention_pooling",),
    )


def _projected_pooling(H: Any, params: Any, real: Any) -> Any:
    return han.attention_pooling(H, params, real, projected=True)


def _documents(S: int, W: int, change: Change = _nothing, projected: bool = False, **sizes: int) -> Draw:
    """A document whose sentences have from one word to all, and a model."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        real = np.arange(W) < rng.integers(1, W + 1, size=(S, 1))
        x = np.where(real, rng.integers(1, _SIZES["N_V"], size=(S, W)), 0)
        a = {"x": x, "params": _model(rng, **sizes), "projected": projected}
        change(a)
        return a

    return draw


def _no_words(a: dict[str, Any]) -> None:
    a["x"][[0, 2, -1]] = 0


def theta(params: Any) -> Any:
    """The pseudocode's θ: the embeddings by columns, and the head under its own names."""
    parts = {name: to_paper(getattr(params, name)) for name in ("words", "word_attention")}
    parts |= {name: to_paper(getattr(params, name)) for name in ("sentences", "sentence_attention")}
    head = {"W_c": np.array(params.classifier.W), "b_c": np.array(params.classifier.b)}
    return pseudocode.module("notation").Parameters(E=np.array(params.E).T, **parts, **head)


def _projected_classification(x: Any, params: Any) -> Any:
    return han.hierarchical_attention(x, params, projected=True)


def _whole() -> Variation:
    def library(a: dict[str, Any]) -> Any:
        f = _projected_classification if a["projected"] else han.hierarchical_attention
        return _reaped(f, ("hierarchical_attention",))(a["x"], a["params"])

    return entry(
        "hierarchical_attention",
        "documents classified by words and sentences",
        module=_MODULE,
        beside=_BESIDE,
        draw=_documents(5, 7),
        paper=lambda a: ([sentence.tolist() for sentence in a["x"]], theta(a["params"]), a["projected"]),
        library=library,
        hard=(
            ("sentences without a word", _documents(5, 7, _no_words)),
            ("one sentence, as many questions as states", _documents(1, 5, a=6)),
            ("one word each", _documents(3, 1)),
            ("what is weighted is U", _documents(3, 2, projected=True, a=6)),
        ),
        functions=("_document", "hierarchical_attention"),
    )


SYSTEMS = (
    System(
        name="hierarchical_attention",
        title="Hierarchical attention: documents of sentences of words",
        heading="long_context",
        papers=("N16-1174",),
        checks=(_whole(), _cell(), _gru(), _bidirectional(), _weights(), _pooling()),
    ),
)
