"""Transformer-XL: the relative shift, its attention, and the decoder that reads segment by segment."""

from math import inf
from typing import Any

import jax
import numpy as np

from ... import masks
from ...initialization import init_mh_attention
from ...long_context import relative_attention as relative
from ...long_context import transformer_xl as xl
from ...placement import PRE
from ...tagging import reap
from .. import draws, pseudocode
from ..catalog import Variation
from ..editions import lines_of
from ..variations import functions
from ..variations.entry import Draw, entry
from ..variations.parameters import attention as attention_theta
from ..variations.parameters import d_theta
from .system import System

_MODULE, _BESIDE = "formal_tx.long_context.transformer_xl", "long_context.transformer_xl"


def _relative_shift() -> Variation:
    def of(q: int, k: int) -> Draw:
        return lambda rng: {"B": draws.normal(rng, q, k)}

    return entry(
        "relative_shift",
        "columns for distances become columns for keys",
        module="formal_tx.long_context.relative_attention",
        beside=_BESIDE,
        draw=of(5, 11),
        paper=lambda a: (a["B"].T,),
        library=lambda a: _shift(a["B"]),
        hard=(("one query", of(1, 7)), ("nothing remembered", of(7, 7)), ("one query, one key", of(1, 1))),
        functions=("relative_shift",),
    )


@jax.jit
def _shift(B: jax.Array) -> Any:
    B, lines = reap(relative.relative_shift)(B)
    return B, lines_of(lines, ("relative_shift",))


_H, _D_ATTN, _D_MID, _D_E, _D_OUT = 2, 3, 5, 14, 11


def _one_token(rng: np.random.Generator) -> dict[str, Any]:
    """A segment of one token and no memory, all numbers positive: its only score is a sum in which nothing cancels."""
    positive: dict[str, Any] = jax.tree.map(np.abs, _segment(q=1, m=0)(rng))
    return positive


def _segment(q: int = 7, m: int = 13, clamp_len: int | None = None, window: int | None = None) -> Draw:
    """A segment of q tokens, m that are remembered, and parameters without biases, or with, as chance has it."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        widths = {"d_x": _D_E, "d_z": _D_E, "d_attn": _D_ATTN, "d_mid": _D_MID, "d_out": _D_OUT, "H": _H}
        a: dict[str, Any] = {"X": draws.normal(rng, q, _D_E), "M": draws.normal(rng, m, _D_E)}
        a["params"] = draws.fill(rng, draws.shapes_of(init_mh_attention, **widths))
        a |= {"u": draws.normal(rng, _H, _D_ATTN), "v": draws.normal(rng, _H, _D_ATTN)}
        a["W_r"] = draws.normal(rng, _H, _D_ATTN, _D_E) / 4
        return a | {"clamp_len": clamp_len, "window": window}

    return draw


def _relative_attention() -> Variation:
    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        limits = (inf if a[name] is None else a[name] for name in ("clamp_len", "window"))
        return a["X"].T, a["M"].T, attention_theta(a["params"]), a["u"], a["v"], a["W_r"], *limits

    def library(a: dict[str, Any]) -> Any:
        arrays = [a[name] for name in ("X", "M", "params", "u", "v", "W_r")]
        limits = {name: a[name] for name in ("clamp_len", "window")}
        result, lines = jax.jit(reap(lambda *arrays: relative.relative_attention(*arrays, **limits)))(*arrays)
        own = lines_of(lines, ("relative_attention",))
        # The core's lines: 5 of Algorithm 4 is what 13 is here, and 3 of Algorithm 5 what 16 is.
        m, k = len(a["M"]), len(a["M"]) + len(a["X"])
        own |= {
            "13.S": own["5.S"],
            "16.Y": own["3.Y"],
            "3.Mask": masks.dense(relative.remembered(m, window=a["window"]), k - m, k),
        }
        return result, own

    return entry(
        "relative_attention",
        "a segment and what is remembered, by distance",
        module="formal_tx.long_context.relative_attention",
        beside=_BESIDE,
        draw=_segment(),
        paper=paper,
        library=library,
        hard=(
            ("nothing remembered", _segment(m=0)),
            ("one token", _one_token),
            ("distances up to 5 are told apart", _segment(q=13, m=3, clamp_len=5)),
            ("a query sees 7 tokens", _segment(window=7)),
        ),
        functions=("relative_attention", "position_keys", "attend_relative", "_WithPositions.__call__"),
    )


def _text(segments: int = 3, q: int = 5, mem_len: int = 7, **options: Any) -> Draw:
    """A text of so many segments; a model with norms after, or before, the sub-layers."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        widths: dict[str, Any] = {
            "l_max": 13,
            "L": 2,
            "H": 3,
            "d_e": 6,
            "d_attn": 5,
            "d_mid": 4,
            "d_mlp": 11,
            "N_V": 17,
        }
        pre = {"placement": PRE, "final_norm": True} if options.get("pre_norm") else {}
        hp = xl.xl_hyperparameters(**widths, **pre)
        params = draws.fill(rng, draws.shapes_of(xl.init_transformer_xl, hp))
        a = {"x": draws.tokens(rng, segments * q, hp.N_V), "params": params, "hyperparameters": hp}
        a |= {"segment": q, "mem_len": mem_len}
        return a | {"clamp_len": options.get("clamp_len"), "same_length": options.get("same_length", False)}

    return draw


def _transformer_xl() -> Variation:
    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        params, hp = a["params"], a["hyperparameters"]
        theta = pseudocode.module("notation").Parameters(
            decoder=d_theta(params.decoder, hp, None), u=params.u, v=params.v, W_r=params.W_r
        )
        clamp_len = inf if a["clamp_len"] is None else a["clamp_len"]
        lengths = (a["segment"], a["mem_len"], clamp_len, a["same_length"])
        sigma = functions.function(hp.activation)
        return a["x"].tolist(), theta, *lengths, hp.placement is PRE, hp.epsilon, sigma

    def library(a: dict[str, Any]) -> Any:
        names = ("segment", "mem_len", "clamp_len", "same_length")
        options = {name: a[name] for name in names} | {"hyperparameters": a["hyperparameters"]}
        (P, _), lines = jax.jit(reap(lambda x, params: xl.transformer_xl(x, params, **options)))(a["x"], a["params"])
        return P, _renumbered(lines, P, a)

    return entry(
        "transformer_xl",
        "segments, with what the layers read of those before",
        module=_MODULE,
        beside=_BESIDE,
        draw=_text(),
        paper=paper,
        library=library,
        hard=(
            ("norms before the sub-layers", _text(pre_norm=True)),
            ("nothing remembered", _text(segments=2, mem_len=0)),
            ("one token", _text(segments=1, q=1)),
            ("every token sees 7, distances up to 3 are told apart", _text(same_length=True, clamp_len=3)),
        ),
        functions=("_recurrent_attend", "transformer_xl_logits", "transformer_xl"),
    )


def _renumbered(lines: Any, P: jax.Array, a: dict[str, Any]) -> dict[str, Any]:
    """The lines of Algorithm 10, of which the decoder is made, by the numbers of this one."""
    own = lines_of(lines, ("transformer_xl", "transformer_xl_logits"))
    found = {"3.H": own["3.X"], "8.Y": own["8.Y"], "9.H": own["6.X"], "12.H": own["8.X"]}
    pre_norm = a["hyperparameters"].placement is PRE
    found |= {"10.H_tilde": own["7.X_tilde"]} | ({"11.H": own["8.X"], "14.H": own["10.X"]} if pre_norm else {})
    return found | {"15.P_tau": P.reshape(-1, a["segment"], P.shape[-1]), "17.P": own["17.P"]}


SYSTEMS = (
    System(
        name="transformer_xl",
        title="Transformer-XL: segment recurrence and relative positions",
        heading="long_context",
        papers=("1901.02860",),
        checks=(_transformer_xl(), _relative_attention(), _relative_shift()),
    ),
)
