"""LSH attention: hashes, rounds, and what a token is answered by all of them together."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ... import masks
from ...long_context import reformer
from ...long_context.reformer import ReformerHyperparameters
from ...tagging import reap
from .. import draws
from ..catalog import Variation
from ..editions import lines_of
from ..variations.entry import Draw, entry
from .system import System

_D, _D_MID, _L = 7, 3, 23


def _draw(l: int = _L, causal: bool = True, zero: bool = False, **changes: Any) -> Draw:
    hp = ReformerHyperparameters(**{"chunk": 5, "buckets": 4, "rounds": 2} | changes)

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        Q = draws.normal(rng, l, _D)
        if zero:
            Q[l // 2], Q[0] = 0, Q[-1]
        R = draws.normal(rng, hp.rounds, _D, hp.buckets // 2)
        t = np.arange(l)
        mask = t[None, :] <= t[:, None] if causal else np.ones((l, l), bool)
        return {"Q": Q, "V": draws.normal(rng, l, _D_MID), "R": R, "hyperparameters": hp, "mask": mask}

    return draw


@cache
def _run(hp: ReformerHyperparameters, causal: bool) -> Any:
    mask = masks.causal if causal else masks.full
    return jax.jit(reap(lambda Q, V, R: reformer.lsh_attention(Q, V, R, hp, mask)))


def _library(a: dict[str, Any]) -> Any:
    causal = not bool(np.asarray(a["mask"]).all())
    result, lines = _run(a["hyperparameters"], causal)(a["Q"], a["V"], a["R"])
    found = lines_of(lines, ("lsh_attention",))
    return result, found | {"30.w": jnp.swapaxes(found["30.w"], 0, 1)}


def _paper(a: dict[str, Any]) -> tuple[Any, ...]:
    hp = a["hyperparameters"]
    return a["Q"].T, a["V"].T, list(a["R"]), hp.chunk, a["mask"].T, hp.same_bucket, hp.by_normaliser, hp.discourage_self


def _lsh_attention() -> Variation:
    package: dict[str, Any] = {"same_bucket": False, "by_normaliser": False, "discourage_self": False}
    return entry(
        "lsh_attention",
        "tokens that fall into the same bucket",
        module="formal_tx.long_context.reformer",
        beside="long_context.reformer",
        draw=_draw(),
        paper=_paper,
        library=_library,
        hard=(
            ("everybody may be seen", _draw(causal=False, rounds=3)),
            ("as the package has it", _draw(20, **package)),
            ("length 1", _draw(1)),
            ("one chunk, one round", _draw(chunk=23, rounds=1)),
            ("chunks of one", _draw(11, chunk=1)),
            ("chunks longer than the sequence", _draw(11, chunk=13)),
            ("a query that is 0, two that are the same", _draw(zero=True)),
        ),
        functions=("lsh_attention",),
    )


SYSTEMS = (
    System(
        name="reformer",
        title="Reformer: attention within buckets of a locality-sensitive hash",
        heading="long_context",
        papers=("2001.04451",),
        checks=(_lsh_attention(),),
    ),
)
