"""Mistakes in Algorithm 5: how heads are put together."""

from ..mistakes import Rewrite, mistake

_STACKED = "concatenate(Y, axis=0)"

MISTAKES = (
    mistake(
        "heads-interleaved",
        "the heads' features are interleaved instead of stacked head by head",
        (_STACKED, "interleaved(Y)"),
    ),
    mistake(
        "heads-permuted",
        "the heads are stacked in another order than that of W_o's blocks",
        (_STACKED, "concatenate(Y[::-1], axis=0)"),
        (_STACKED, "concatenate(Y[1:] + Y[:1], axis=0)"),
        (_STACKED, "concatenate(Y[-1:] + Y[:-1], axis=0)"),
    ),
    mistake(
        "heads-not-transposed",
        "heads and tokens are merged by a reshape without moving the axis of the heads first",
        (_STACKED, "not_transposed(Y)"),
    ),
    mistake(
        "heads-share-parameters",
        "all heads use the parameters of one",
        ("heads[h]", "heads[0]"),
        ("heads[h]", "heads[-1]"),
    ),
    mistake(
        "heads-share-keys-and-values",
        "all heads use the keys and values of the first head, as in multi-query attention",
        (
            "attention(_X, _Z, heads[h], _M)",
            "attention(_X, _Z, [*list(heads[h])[:2], *list(heads[0])[2:]], _M)",
        ),
    ),
    mistake(
        "heads-dropped",
        "the answers of one head are left out",
        (_STACKED, "concatenate([0 * Y[0], *Y[1:]], axis=0)"),
        (_STACKED, "concatenate([*Y[:-1], 0 * Y[-1]], axis=0)"),
    ),
    mistake(
        "heads-averaged",
        "the heads' answers are averaged before W_o sees them",
        (_STACKED, "concatenate([sum(Y) / len(Y)] * len(Y), axis=0)"),
    ),
    mistake(
        "output-projection-missing",
        "W_o is not applied",
        Rewrite("W_o @ Y", "Y"),
        Rewrite("W_o @ Y + b_o[:, None]", "Y"),
    ),
)
