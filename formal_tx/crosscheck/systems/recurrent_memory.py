"""Recurrent Memory Transformer: its mask, and its two variants, around a decoder and around an encoder."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ... import masks
from ...hyperparameters import Biases, DTransformerHyperparameters, ETransformerHyperparameters
from ...long_context import recurrent_memory as rmt
from ...tagging import reap
from .. import draws
from ..catalog import Variation
from ..editions import lines_of
from ..variations import functions
from ..variations.entry import Draw, entry
from ..variations.parameters import d_theta, e_theta
from .system import System

_MODULE, _BESIDE = "formal_tx.long_context.recurrent_memory", "long_context.recurrent_memory"
_WIDTHS: dict[str, Any] = {"L": 2, "H": 3, "d_e": 7, "d_attn": 5, "d_mid": 4, "d_mlp": 11, "N_V": 17, "l_max": 23}


def _memory_mask() -> Variation:
    names = ("m", "s", "mem_bidirectional")

    def of(*values: Any) -> Draw:
        return lambda rng: dict(zip(names, values, strict=True))

    def library(a: dict[str, Any]) -> Any:
        l = 2 * a["m"] + a["s"]
        Mask = masks.dense(rmt.memory_mask(*(a[name] for name in names)), l, l)
        return Mask, {"5.Mask" if a["mem_bidirectional"] else "1.Mask": Mask}

    return entry(
        "memory_mask",
        "a memory to read, tokens, a memory to write",
        module=_MODULE,
        beside=_BESIDE,
        draw=of(3, 5, True),
        paper=lambda a: tuple(a[name] for name in names),
        library=library,
        hard=(
            ("in turn", of(3, 5, False)),
            ("no memory", of(0, 5, True)),
            ("one row, one token", of(1, 1, True)),
        ),
    )


def _text(hp: Any, s: int = 5, m: int = 3, segments: int = 3, **more: Any) -> Draw:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        params = draws.fill(rng, draws.shapes_of(rmt.init_recurrent_memory, hp, m))
        a = {"x": draws.tokens(rng, segments * s, hp.N_V), "params": params, "hyperparameters": hp}
        return a | {"M": draws.normal(rng, m, hp.d_e), "segment": s} | more

    return draw


def _run(function: Any, options: tuple[str, ...], own: tuple[str, ...], a: dict[str, Any]) -> Any:
    """The library's result and its own lines, without those of the layers inside."""
    hp = a["hyperparameters"]
    given = {name: a[name] for name in options}
    run = jax.jit(reap(lambda x, params, M: function(x, params, hp, M, **given)))
    result, lines = run(a["x"], a["params"], a["M"])
    return result, {name: value for name, value in lines_of(lines, own).items() if name.partition(".")[2] != "X"}


def _decoder() -> Variation:
    hp = DTransformerHyperparameters(**_WIDTHS, biases=Biases(u=True))

    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        hp = a["hyperparameters"]
        variations = (functions.function(hp.placement), functions.function(hp.activation), hp.epsilon)
        theta = d_theta(a["params"].backbone, hp, None)
        return a["x"].tolist(), theta, a["M"].T, a["segment"], a["mem_bidirectional"], *variations

    def library(a: dict[str, Any]) -> Any:
        own = ("rmt_decoder", "rmt_decoder_logits")
        (P, _), lines = _run(rmt.rmt_decoder, ("segment", "mem_bidirectional"), own, a)
        return P, lines | {"7.P_tau": P.reshape(-1, a["segment"], P.shape[-1])}

    draw = partial(_text, hp, mem_bidirectional=False)
    return entry(
        "rmt_decoder",
        "a memory read in front, and written behind",
        module=_MODULE,
        beside=_BESIDE,
        draw=draw(),
        paper=paper,
        library=library,
        hard=(
            ("rows of a memory see each other", _text(hp, mem_bidirectional=True)),
            ("no memory", draw(m=0)),
            ("one token, one row", draw(s=1, m=1, segments=1)),
        ),
        functions=("_first", "rmt_decoder_logits", "rmt_decoder"),
    )


def _encoder() -> Variation:
    hp = ETransformerHyperparameters(**_WIDTHS)

    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        hp = a["hyperparameters"]
        variations = (functions.function(hp.placement), functions.function(hp.activation), hp.epsilon)
        theta = e_theta(a["params"].backbone, hp, None)
        return a["x"].tolist(), theta, a["M"].T, a["segment"], hp.bos_token, hp.eos_token, *variations

    def library(a: dict[str, Any]) -> Any:
        encoded, lines = _run(rmt.rmt_encoder, ("segment",), ("rmt_encoder",), a)
        Y = jnp.concatenate([encoded.cls[None], encoded.M, encoded.Y])
        return Y, lines | {"10.Y": Y}

    return entry(
        "rmt_encoder",
        "a memory among the tokens, which all see",
        module=_MODULE,
        beside=_BESIDE,
        draw=_text(hp),
        paper=paper,
        library=library,
        hard=(
            ("no memory", _text(hp, m=0)),
            ("one token, one row", _text(hp, s=1, m=1, segments=1)),
        ),
        functions=("_first", "rmt_encoder"),
    )


SYSTEMS = (
    System(
        name="recurrent_memory",
        title="Recurrent Memory Transformer",
        heading="long_context",
        papers=("2207.06881", "2304.11062"),
        checks=(_decoder(), _encoder(), _memory_mask()),
    ),
)
