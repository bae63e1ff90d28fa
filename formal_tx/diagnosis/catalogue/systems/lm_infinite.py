"""Mistakes with the Λ of LM-Infinite: in what a query sees, and in how far away it is."""

from ...mistakes import mistake

_HEAD = ("lambda_attention",)
_AUTHORS = ("lambda_attention_of_authors",)
_BOTH = (*_HEAD, *_AUTHORS)
_DISTANCE = "minimum(i - j, c)"

MISTAKES = (
    mistake(
        "lambda-no-ceiling",
        "there is no ceiling: first tokens are scored at their true distance (`limit_distance` was left out)",
        (_DISTANCE, "i - j"),
        ("K[:, far].T @ Q_far[:, i]", "K_near[:, far].T @ Q_near[:, i]"),
        functions=_BOTH,
    ),
    mistake(
        "lambda-ceiling-outside-the-window-alone",
        "tokens outside of the window are at the ceiling, whatever it is, and those inside never are",
        (_DISTANCE, "(i - j) * (i - j < w) + c * (i - j >= w)"),
        functions=_HEAD,
    ),
    mistake(
        "lambda-ceiling-of-positions",
        "the ceiling is one of positions, not of distances",
        (_DISTANCE, "minimum(i, c) - minimum(j, c)"),
        functions=_HEAD,
    ),
    mistake(
        "lambda-ceiling-one-less",
        "far tokens are one nearer than the ceiling",
        (_DISTANCE, "minimum(i - j, c - 1)"),
        ("full(l, c)", "full(l, c - 1)"),
        functions=_BOTH,
    ),
    mistake(
        "lambda-order-kept",
        "first tokens keep their order, as in StreamingLLM, instead of being all at the same distance",
        (_DISTANCE, "where(j < n, minimum(i, n + w - 1) - j, i - j)"),
        functions=_HEAD,
    ),
    mistake(
        "lambda-window-one-more",
        "the window does not count the query: one token too many is seen",
        ("i - j < w", "i - j <= w"),
        ("arange(max(i - w + 1, 0), i + 1)", "arange(max(i - w, 0), i + 1)"),
        functions=_BOTH,
    ),
    mistake(
        "lambda-first-missing",
        "the first tokens are not seen: a plain window",
        ("j < n or i - j < w", "i - j < w"),
        ("arange(min(n, near[0]))", "arange(0)"),
        functions=_BOTH,
    ),
    mistake(
        "lambda-first-one-more",
        "one first token too many is seen",
        ("j < n or i - j < w", "j <= n or i - j < w"),
        ("min(n, near[0])", "min(n + 1, near[0])"),
        functions=_BOTH,
    ),
    mistake(
        "lambda-keys-turned-already",
        "the keys come from a cache of keys that are turned by their positions already",
        ("K[:, j] * q", "rotary(K[:, j], j, theta) * q"),
        ("K[:, far].T", "K_near[:, far].T"),
        functions=_BOTH,
    ),
    mistake(
        "lambda-turned-backwards",
        "the query is turned against the distance",
        ("rotary(Q[:, _j], distance, theta)", "rotary(Q[:, _j], -distance, theta)"),
        ("rotary(Q, full(l, c), theta)", "rotary(Q, full(l, -c), theta)"),
        functions=_BOTH,
    ),
    mistake(
        "lambda-first-at-the-ceiling",
        "first tokens inside of the window are at the ceiling too",
        ("arange(min(n, near[0]))", "arange(min(n, i + 1))"),
        functions=_AUTHORS,
    ),
)
