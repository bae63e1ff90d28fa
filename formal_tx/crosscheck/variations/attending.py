"""The variations of attention: shared keys and values, QK-norm, soft caps, windows, positions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ... import masks
from ...attention import Attending, mh_attention
from ...normalization import rms_norm
from ...parameters import AttentionParameters, MHAttentionParameters
from ...placement import Normalise
from ...positional import Alibi, Rotary
from ...scores import InTurn, QKNorm, SoftCap
from ...tagging import reap
from .. import draws, pseudocode
from ..catalog import Variation
from . import functions
from .entry import entry
from .parameters import attention as attention_theta

_H, _D_ATTN, _D_MID, _D_X, _D_Z, _D_OUT = 6, 4, 3, 7, 11, 13
_L_X, _L_Z = 17, 19


def _parameters(rng: np.random.Generator, H_kv: int, attending: Attending) -> MHAttentionParameters:
    shapes: dict[str, tuple[int, ...]] = {"W_q": (_H, _D_ATTN, _D_X), "b_q": (_H, _D_ATTN)}
    shapes |= {"W_k": (H_kv, _D_ATTN, _D_Z), "b_k": (H_kv, _D_ATTN), "W_v": (H_kv, _D_MID, _D_Z), "b_v": (H_kv, _D_MID)}
    if attending.normalise is not None:
        all_heads = getattr(attending.normalise, "all_heads", False)
        shapes |= {f"gamma_{n}": (*((H,) if all_heads else ()), _D_ATTN) for n, H in (("q", _H), ("k", H_kv))}
    heads: dict[str, Any] = {name: draws.normal(rng, *shape) for name, shape in shapes.items()}
    mixing: dict[str, Any] = {"W_o": draws.normal(rng, _D_OUT, _H * _D_MID), "b_o": draws.normal(rng, _D_OUT)}
    if attending.inner is not None:
        mixing |= {name: draws.normal(rng, _H * _D_MID) for name in ("gamma", "beta")}
    return MHAttentionParameters(AttentionParameters(**heads), **mixing)


def _attention(name: str, purpose: str, attending: Attending, H_kv: int = _H, window: int | None = None) -> Variation:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        X, Z = draws.normal(rng, _L_X, _D_X), draws.normal(rng, _L_Z, _D_Z)
        causal = np.arange(_L_Z)[None, :] <= np.arange(_L_X)[:, None]
        return {"X": X, "Z": Z, "params": _parameters(rng, H_kv, attending), "mask": causal}

    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        norm = pseudocode.module("variations.norm").of_each_token(functions.function(rms_norm), 1e-5)
        unchanged = pseudocode.module("variations.grouped_attention").as_it_is
        Mask = a["mask"].T
        if window is not None:
            Mask = Mask & pseudocode.module("variations.window").sliding_window(_L_Z, _L_X, window)
        return (
            *(a["X"].T, a["Z"].T, attention_theta(a["params"]), Mask),
            functions.normalise_qk(attending.normalise).get("normalise", unchanged),
            functions.rotate(attending.rotate, _D_ATTN).get("rotate", unchanged),
            attending.scale,
            functions.score(attending.score, None, _H),
            unchanged if attending.inner is None else norm,
        )

    def library(a: dict[str, Any]) -> Any:
        mask = masks.as_mask(a["mask"]) if window is None else masks.as_mask(a["mask"]) & masks.window(window)
        run = jax.jit(reap(lambda X, Z, params: mh_attention(X, Z, params, mask, attending)))
        result, lines = run(a["X"], a["Z"], a["params"])
        return result, _renumbered(lines, attending)

    return entry(
        name,
        purpose,
        module="formal_tx.attention",
        beside="variations.grouped_attention",
        pseudocode_name="grouped_attention",
        draw=draw,
        paper=paper,
        library=library,
        functions=("mh_attention", "join_heads"),
    )


def _renumbered(lines: Any, attending: Attending) -> dict[str, Any]:
    """The library's lines, those of Algorithms 4 and 5, by the numbers of grouped attention."""
    found = {path.rsplit("/", 2)[-2] + "/" + path.rsplit("/", 1)[-1]: value for path, value in lines.items()}
    by_columns = {"4.Q": "attention/1.Q", "5.K": "attention/2.K", "3.V": "attention/3.V"}
    renumbered = {name: jnp.swapaxes(found[tag], -1, -2) for name, tag in by_columns.items()}
    S = found["attention/5.S"]
    # As printed, scores are masked first and divided by √d_attn in the softmax.
    masked = S if attending.score is not None else attending.scaled(S, _D_ATTN)
    renumbered |= {"7.S": found["attention/4.S"], "8.S": masked, "9.Y_h": found["mh_attention/2.Y_h"]}
    return renumbered | {"11.Y": found["mh_attention/3.Y"], "13.V_tilde": found["mh_attention/4.V_tilde"]}


def _soft_cap() -> Variation:
    cap = SoftCap(2.5)
    return entry(
        "soft_cap",
        "numbers between -c and c",
        module="formal_tx.scores",
        beside="variations.soft_cap",
        draw=lambda rng: {"S": 3 * draws.normal(rng, 11, 13)},
        paper=lambda a: (a["S"].T, cap.cap),
        library=lambda a: (cap(a["S"]), {}),
    )


def _qk_norm(name: str, purpose: str, all_heads: bool) -> Variation:
    norm = QKNorm(1e-5, all_heads)

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        return {"Q": draws.normal(rng, 3, 11, 7), "gamma": draws.normal(rng, *((3, 7) if all_heads else (7,)))}

    return entry(
        name,
        purpose,
        module="formal_tx.scores",
        beside="variations.qk_norm",
        draw=draw,
        paper=lambda a: ([Q_h.T for Q_h in a["Q"]], a["gamma"], norm.epsilon),
        library=lambda a: (jnp.swapaxes(norm(a["Q"], a["gamma"]), -1, -2), {}),
    )


def _sliding_window() -> Variation:
    return entry(
        "sliding_window",
        "a mask for tokens that are near",
        module="formal_tx.masks",
        beside="variations.window",
        draw=lambda rng: {"l_x": 11, "l_z": 13, "w": int(rng.integers(1, 12))},
        paper=lambda a: (a["l_z"], a["l_x"], a["w"]),
        library=lambda a: (masks.dense(masks.window(a["w"]), a["l_x"], a["l_z"]), {}),
        hard=(("itself alone", lambda rng: {"l_x": 11, "l_z": 13, "w": 1}),),
        functions=("window",),
    )


PARTS: tuple[Variation, ...] = (
    _attention("grouped_attention", "heads that share keys and values", Attending(), H_kv=2),
    _attention("multi_query_attention", "one key and value for all heads", Attending(), H_kv=1),
    _attention("attention_with_positions", "rotary, ALiBi", Attending(rotate=Rotary(), score=Alibi()), H_kv=3),
    _attention("attention_with_window", "near tokens alone", Attending(), window=5),
    _attention("attention_with_qk_norm", "QK-norm of each head", Attending(normalise=QKNorm(1e-5)), H_kv=2),
    _attention(
        "attention_with_qk_norm_of_all_heads",
        "QK-norm of all heads, rotary",
        Attending(rotate=Rotary(neighbours=True), normalise=QKNorm(1e-5, all_heads=True)),
        H_kv=3,
    ),
    _attention(
        "attention_with_soft_cap",
        "scores capped, then a penalty",
        Attending(score=InTurn((SoftCap(2.5), Alibi())), scale=0.3),
    ),
    _attention(
        "attention_with_inner_norm",
        "stacked heads normalised",
        Attending(inner=Normalise(rms_norm, 1e-5)),
    ),
    _qk_norm("qk_norm", "queries or keys normalised, each head", all_heads=False),
    _qk_norm("qk_norm_of_all_heads", "all heads together", all_heads=True),
    _soft_cap(),
    _sliding_window(),
)
