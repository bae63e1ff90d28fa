"""StreamingLLM: a stream with a rolling cache, whole sequences as it would have them, and the cache as a ring."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...implementation import attend_with
from ...long_context.first_and_near import FirstAndNear, Keys
from ...long_context.sink_cache import sink_cache_step
from ...long_context.streaming_llm import softmax_off_by_one, streaming_attention
from ...tagging import reap
from .. import draws
from ..catalog import Variation
from ..variations.entry import Draw, entry
from .lm_infinite import D_ATTN, D_MID, ROTATING, columns, frequencies, heads, own
from .system import System


def _draw(l: int, sinks: int, window: int) -> Draw:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        return heads(rng, l) | {"theta": frequencies(), "sinks": sinks, "window": window}

    return draw


_HARD = (
    ("length 1", _draw(1, 4, 3)),
    ("no sinks", _draw(13, 0, 5)),
    ("itself and a sink", _draw(13, 1, 1)),
    ("the window is the sequence", _draw(11, 3, 11)),
    ("all of them sinks", _draw(7, 11, 1)),
    ("the first eviction", _draw(9, 3, 5)),
)


def _library(implementation: str) -> Callable[[dict[str, Any]], Any]:
    def library(a: dict[str, Any]) -> Any:
        options = {"sinks": a["sinks"], "window": a["window"], "attending": ROTATING}
        with attend_with(implementation):
            return jax.jit(reap(lambda Q, K, V: streaming_attention(Q, K, V, **options)))(a["Q"], a["K"], a["V"])

    return own(library)


def _streaming_attention() -> Variation:
    """The cache of the pseudocode grows and shrinks, the library has blocks: what is compared is the result."""
    return entry(
        "streaming_attention",
        "a stream, of which the sinks and the last tokens are kept",
        module="formal_tx.long_context.streaming_llm",
        beside="long_context.streaming_llm",
        draw=_draw(67, 3, 7),
        paper=columns,
        library=_library("blockwise"),
        hard=(*_HARD, ("three blocks", _draw(139, 5, 67))),
        functions=("formal_tx.long_context.first_and_near:_by_blocks",),
    )


def _sink_attention() -> Variation:
    return entry(
        "sink_attention",
        "the same for a whole sequence: a mask, and distances",
        module="formal_tx.long_context.streaming_llm",
        beside="long_context.streaming_llm",
        draw=_draw(17, 3, 7),
        paper=columns,
        library=_library("dense"),
        hard=_HARD,
        functions=("streaming_attention", "formal_tx.long_context.first_and_near:_at_once"),
    )


def _sink_cache_step() -> Variation:
    sinks, window, of_queries = 3, 7, ("6.Mask", "8.s", "9.s", "10.y")

    def step(i: int) -> Draw:
        def draw(rng: np.random.Generator) -> dict[str, Any]:
            a = {"q": draws.normal(rng, D_ATTN), "k": draws.normal(rng, D_ATTN), "v": draws.normal(rng, D_MID)}
            a |= {"K": draws.normal(rng, sinks + window, D_ATTN), "V": draws.normal(rng, sinks + window, D_MID)}
            return a | {"i": i, "theta": frequencies(), "sinks": sinks, "window": window}

        return draw

    def library(a: dict[str, Any]) -> Any:
        sight = FirstAndNear(a["sinks"], a["window"])
        run = reap(lambda q, k, v, K, V, i: sink_cache_step(q, Keys(k, v), Keys(K, V), i, sight, ROTATING))
        rows = (a[name][None] for name in ("q", "k", "v"))
        (y, _), lines = jax.jit(run)(*rows, a["K"], a["V"], jnp.asarray(a["i"]))
        return y[0], {name: value[0] if name in of_queries else value for name, value in lines.items()}

    return entry(
        "sink_cache_step",
        "a token of a stream, and a cache whose last rows are a ring",
        module="formal_tx.long_context.sink_cache",
        beside="long_context.streaming_llm",
        draw=step(23),
        paper=lambda a: columns(a | {name: a[name].copy() for name in ("K", "V")}),  # which it writes into
        library=library,
        hard=(
            ("the first token", step(0)),
            ("the last sink", step(2)),
            ("the first that is no sink", step(3)),
            ("the cache is full", step(9)),
            ("the first eviction", step(10)),
        ),
        functions=("sink_cache_step",),
    )


def _softmax_off_by_one() -> Variation:
    def scores(change: Callable[[np.ndarray], Any] = lambda S: None) -> Draw:
        def draw(rng: np.random.Generator) -> dict[str, Any]:
            S = 3 * draws.normal(rng, 11, 7)
            change(S)
            return {"S": S}

        return draw

    def masked(S: np.ndarray) -> None:
        S[2, 3:], S[5] = -np.inf, -np.inf

    def large(S: np.ndarray) -> None:
        S[1], S[2], S[3, 4] = 1000.0, -1000.0, 1000.0

    return entry(
        "softmax_off_by_one",
        "a softmax that may give nothing to anybody",
        module="formal_tx.long_context.streaming_llm",
        beside="long_context.streaming_llm",
        pseudocode_name="softmax_1",
        draw=scores(),
        paper=lambda a: (a["S"].T,),
        library=lambda a: _one_axis(*reap(softmax_off_by_one)(a["S"])),
        hard=(("some masked, and all", scores(masked)), ("large scores", scores(large))),
        functions=("softmax_off_by_one",),
    )


def _one_axis(result: Any, lines: Any) -> Any:
    """The maximum of each row as one number."""
    named = {path.rsplit("/", 1)[-1]: value for path, value in lines.items()}
    return result, named | {"1.m": named["1.m"][..., 0]}


SYSTEMS = (
    System(
        name="streaming_llm",
        title="StreamingLLM: attention sinks and a rolling cache",
        heading="long_context",
        papers=("2309.17453",),
        checks=(_streaming_attention(), _sink_attention(), _sink_cache_step(), _softmax_off_by_one()),
    ),
)
