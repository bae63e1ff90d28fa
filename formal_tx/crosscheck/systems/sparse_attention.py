"""Sparse attention: the patterns as masks, random blocks, attention by blocks and by columns, global tokens."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ... import masks
from ...initialization import init_mh_attention
from ...long_context import sparse_attention as sparse
from ...long_context import sparse_masks
from ...tagging import reap
from .. import draws
from ..catalog import Variation
from ..layout import to_paper
from ..variations.entry import Draw, entry
from .system import System

_HERE = {"module": "formal_tx.long_context.sparse_attention", "beside": "long_context.sparse_attention"}
_MASKS = "formal_tx.long_context.sparse_masks:"
_IN_MASKS = "in_band", "banded", "local", "every"


def _given(**arguments: Any) -> Draw:
    """A case with these arguments, which are not drawn."""
    return lambda rng: dict(arguments)


def _mask(
    name: str,
    purpose: str,
    hard: dict[str, dict[str, int]],
    sources: tuple[str, ...],
    **ranges: tuple[int, int],
) -> Variation:
    """The entry of a mask, whose numbers are drawn from these ranges."""

    def draw(rng: np.random.Generator) -> dict[str, int]:
        return {"length": 23} | {name: int(rng.integers(low, high)) for name, (low, high) in ranges.items()}

    def library(a: dict[str, int]) -> Any:
        numbers = {name: a[name] for name in ranges}
        return masks.dense(getattr(sparse, name)(**numbers), a["length"], a["length"]), {}

    return entry(
        name,
        purpose,
        **_HERE,
        draw=draw,
        paper=lambda a: tuple(a.values()),
        library=library,
        hard=tuple((title, _given(**numbers)) for title, numbers in hard.items()),
        functions=tuple(_MASKS + source for source in (*sources, name)),
    )


def _banded() -> Variation:
    hard = {
        "a single token": {"length": 1, "left": 0, "right": 0},
        "itself alone": {"length": 7, "left": 0, "right": 0},
        "all tokens": {"length": 7, "left": 6, "right": 6},
        "all tokens before": {"length": 7, "left": 100, "right": 0},
    }
    return _mask("banded", "a band around the diagonal", hard, ("in_band",), left=(1, 11), right=(1, 11))


def _local() -> Variation:
    hard = {"itself alone": {"length": 7, "width": 1}, "as wide as it is long": {"length": 7, "width": 7}}
    return _mask("local", "the last tokens", hard, ("in_band", "banded"), width=(2, 11))


def _every() -> Variation:
    hard = {"all tokens before": {"length": 7, "stride": 1}, "itself alone": {"length": 7, "stride": 7}}
    return _mask("every", "one token of each stride before", hard, ("_a_multiple_apart",), stride=(2, 11))


def _strided() -> Variation:
    hard = {
        "one token": {"length": 1, "width": 3, "stride": 2},
        "nothing beside": {"length": 7, "width": 1, "stride": 9},
    }
    return _mask("strided", "the last tokens, and one of each stride", hard, _IN_MASKS, width=(2, 7), stride=(2, 11))


def _fixed() -> Variation:
    hard = {
        "all summary": {"length": 7, "stride": 3, "summary": 3},
        "a stride beyond the end": {"length": 7, "stride": 11, "summary": 1},
        "a stride of one": {"length": 7, "stride": 1, "summary": 1},
    }
    sources = ("_same_stride_or_summary",)
    return _mask("fixed", "the own stride, and summaries of others", hard, sources, stride=(4, 11), summary=(1, 4))


def _dilated() -> Variation:
    hard = {
        "itself alone": {"length": 7, "width": 0, "dilation": 3},
        "not dilated": {"length": 7, "width": 2, "dilation": 1},
        "beyond both ends": {"length": 7, "width": 9, "dilation": 2},
    }
    return _mask("dilated", "a band with gaps", hard, ("_a_multiple_apart",), width=(1, 5), dilation=(2, 5))


def _global_tokens() -> Variation:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        return {"length": 23, "width": int(rng.integers(0, 5)), "tokens": rng.choice(23, 3, replace=False)}

    def case(length: int, width: int, tokens: list[int]) -> Draw:
        return _given(length=length, width=width, tokens=np.array(tokens, int))

    return entry(
        "global_tokens",
        "a band, and tokens that see and are seen by all",
        **_HERE,
        draw=draw,
        paper=lambda a: (a["length"], a["width"], a["tokens"].tolist()),
        library=lambda a: (
            masks.dense(sparse.global_tokens(a["width"], a["tokens"], a["length"]), a["length"], a["length"]),
            {},
        ),
        hard=(
            ("none is global", case(7, 2, [])),
            ("all are global", case(5, 0, [0, 1, 2, 3, 4])),
            ("the last, twice", case(7, 0, [6, 6])),
            ("a single token", case(1, 0, [0])),
        ),
        functions=tuple(_MASKS + source for source in ("_is_one_of", "is_key", "_is_query", "global_tokens")),
    )


# Random blocks


def _numbered(seed: int, n: int, r: int) -> np.ndarray:
    """The numbers that `random_blocks` draws: of each block's k-th, how many free blocks stand before it."""
    return np.asarray(sparse_masks.drawn_ranks(jax.random.key(seed), n, r))


def _random_blocks() -> Variation:
    def case(n: int, r: int) -> Draw:
        return lambda rng: {"blocks": n, "each": r, "seed": int(rng.integers(1000))}

    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        ranks = iter(_numbered(a["seed"], a["blocks"], a["each"]).ravel().tolist())
        return a["blocks"], a["each"], lambda free: next(ranks)

    return entry(
        "random_blocks",
        "blocks that are seen for no other reason",
        **_HERE,
        draw=case(17, 3),
        paper=paper,
        library=lambda a: (sparse.random_blocks(jax.random.key(a["seed"]), a["blocks"], a["each"]), {}),
        hard=(("none", case(3, 0)), ("all that are free", case(11, 6)), ("one of one", case(6, 1))),
        functions=(_MASKS + "random_blocks", _MASKS + "seen_blocks"),
    )


def _drawn(rng: np.random.Generator, n: int, r: int) -> np.ndarray:
    return np.asarray(sparse.random_blocks(jax.random.key(int(rng.integers(1000))), n, r))


def _bigbird() -> Variation:
    def case(n: int, block: int, r: int) -> Draw:
        return lambda rng: {"length": n * block, "block": block, "drawn": _drawn(rng, n, r)}

    def library(a: dict[str, Any]) -> Any:
        return masks.dense(sparse.bigbird(a["length"], a["block"], a["drawn"]), a["length"], a["length"]), {}

    return entry(
        "bigbird",
        "neighbours, both ends and random blocks",
        **_HERE,
        draw=case(11, 3, 2),
        paper=lambda a: (a["length"], a["block"], a["drawn"].tolist()),
        library=library,
        hard=(
            ("one block", case(1, 5, 0)),
            ("two blocks", case(2, 3, 0)),
            ("no random ones", case(7, 2, 0)),
            ("blocks of one token", case(13, 1, 4)),
        ),
        functions=(_MASKS + "_block_sees", _MASKS + "bigbird"),
    )


# Attention


def _qkv(rng: np.random.Generator, l: int, d_attn: int = 3, d_mid: int = 2) -> dict[str, Any]:
    return {"Q": draws.normal(rng, l, d_attn), "K": draws.normal(rng, l, d_attn), "V": draws.normal(rng, l, d_mid)}


def _of_head(a: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of a head's attention in the pseudocode: a column for each token."""
    return *(a[name].T for name in "QKV"), *(value for name, value in a.items() if name not in "QKV")


def _lines(lines: Any, **numbers: str) -> dict[str, Any]:
    """Tagged values by the pseudocode's numbers; those not named keep theirs."""
    own = {path.rsplit("/", 1)[-1]: value for path, value in lines.items()}
    return {numbers.get(name.replace(".", "_"), name): value for name, value in own.items()}


def _banded_attention() -> Variation:
    def case(l: int, left: int, right: int, block: int) -> Draw:
        return lambda rng: _qkv(rng, l) | {"left": left, "right": right, "block": block}

    def library(a: dict[str, Any]) -> Any:
        left, right, block = a["left"], a["right"], a["block"]
        run = jax.jit(reap(lambda Q, K, V: sparse.banded_attention(Q, K, V, left, right, block)))
        result, lines = run(a["Q"], a["K"], a["V"])
        return result, _lines(lines)

    return entry(
        "banded_attention",
        "attention in a band, by blocks",
        **_HERE,
        draw=case(23, 7, 4, 5),
        paper=_of_head,
        library=library,
        hard=(
            ("a single token", case(1, 3, 2, 2)),
            ("itself alone", case(7, 0, 0, 3)),
            ("all tokens", case(7, 10, 10, 3)),
            ("all tokens before, in one block", case(7, 6, 0, 7)),
            ("a block of one token", case(7, 2, 1, 1)),
            ("a block that is not full", case(13, 3, 0, 11)),
        ),
        functions=("banded_attention",),
    )


def _strided_attention() -> Variation:
    def case(l: int, stride: int) -> Draw:
        return lambda rng: _qkv(rng, l) | {"stride": stride}

    def library(a: dict[str, Any]) -> Any:
        run = jax.jit(reap(lambda Q, K, V: sparse.strided_attention(Q, K, V, a["stride"])))
        result, lines = run(a["Q"], a["K"], a["V"])
        kept = ("strided_attention/6.V_tilde", "strided_attention/6.A")  # of `attend`, and of no numbered line
        return result, _lines({path: value for path, value in lines.items() if path not in kept}, **_ATTEND)

    return entry(
        "strided_attention",
        "causal attention in each column of a stride",
        **_HERE,
        draw=case(23, 5),
        paper=_of_head,
        library=library,
        hard=(
            ("a single token", case(1, 1)),
            ("every token before", case(7, 1)),
            ("itself alone", case(7, 7)),
            ("a stride that divides", case(12, 4)),
        ),
        functions=("strided_attention",),
    )


_ATTEND = {"6_V_tilde#2": "6.V_tilde"}
"""`strided_attention` tags what `attend` has tagged before."""


def _bigbird_attention() -> Variation:
    def case(n: int, block: int, r: int, drawn: Callable[..., np.ndarray] = _drawn) -> Draw:
        return lambda rng: _qkv(rng, n * block) | {"block": block, "drawn": drawn(rng, n, r)}

    def colliding(rng: np.random.Generator, n: int, r: int) -> np.ndarray:
        return rng.integers(0, n, (n, r))

    def library(a: dict[str, Any]) -> Any:
        run = jax.jit(reap(lambda Q, K, V: sparse.bigbird_attention(Q, K, V, a["block"], a["drawn"])))
        result, lines = run(a["Q"], a["K"], a["V"])
        return result, {name: value for name, value in _lines(lines).items() if name in ("1.n", "7.Y")}

    return entry(
        "bigbird_attention",
        "neighbours, both ends and random blocks",
        **_HERE,
        draw=case(11, 3, 2),
        paper=_of_head,
        library=library,
        hard=(
            ("one block", case(1, 5, 0)),
            ("two blocks", case(2, 3, 0)),
            ("three blocks", case(3, 2, 0)),
            ("no random ones", case(7, 2, 0)),
            ("random ones that are seen anyway", case(7, 2, 3, colliding)),
        ),
        functions=("bigbird_attention",),
    )


def _longformer_attention() -> Variation:
    sizes = {"d_attn": 5, "d_mid": 3, "H": 2}

    def case(l: int, width: int, tokens: list[int], tied: bool = False) -> Draw:
        def draw(rng: np.random.Generator) -> dict[str, Any]:
            shapes = draws.shapes_of(init_mh_attention, d_x=7, d_z=7, d_out=11, **sizes)
            params, other = draws.fill(rng, shapes), draws.fill(rng, shapes.heads)
            params = sparse.LongformerParameters(params, params.heads if tied else other)
            return {"X": draws.normal(rng, l, 7), "params": params, "width": width, "tokens": np.array(tokens, int)}

        return draw

    def paper(a: dict[str, Any]) -> tuple[Any, ...]:
        params = a["params"]
        W = to_paper(params.attention)
        W.global_heads = to_paper(params.attention.replace(heads=params.global_heads)).heads
        return a["X"].T, W, a["width"], a["tokens"].tolist()

    def library(a: dict[str, Any]) -> Any:
        run = jax.jit(reap(lambda X, W: sparse.longformer_attention(X, W, a["width"], a["tokens"])))
        result, lines = run(a["X"], a["params"])
        own = {path: value for path, value in lines.items() if "/attention" not in path}
        return result, _lines(own, **{"3_Y": "8.Y"})

    return entry(
        "longformer_attention",
        "a band, and global tokens with projections of their own",
        **_HERE,
        draw=case(17, 3, [0, 13]),
        paper=paper,
        library=library,
        hard=(
            ("a single token", case(1, 2, [0])),
            ("none is global", case(7, 1, [])),
            ("all are global", case(5, 0, [0, 1, 2, 3, 4])),
            ("one set of projections", case(7, 1, [2], tied=True)),
            ("one token twice", case(7, 0, [6, 6])),
        ),
        functions=("longformer_attention",),
    )


SYSTEMS = (
    System(
        name="sparse_attention",
        title="Sparse attention: Sparse Transformer, Longformer, BigBird",
        heading="long_context",
        papers=("1904.10509", "2004.05150", "2007.14062"),
        checks=(
            _banded(),
            _local(),
            _every(),
            _strided(),
            _fixed(),
            _dilated(),
            _global_tokens(),
            _random_blocks(),
            _bigbird(),
            _banded_attention(),
            _strided_attention(),
            _bigbird_attention(),
            _longformer_attention(),
        ),
    ),
)
