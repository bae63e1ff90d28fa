"""Mistakes with attention sinks: in what the cache keeps, and in where its keys stand."""

from ...mistakes import Rewrite, mistake

_STREAM = ("streaming_attention",)
_WHOLE = ("sink_attention",)
_RING = ("sink_cache_step",)
_DISTANCE = "where(j < g, min(i, g + w - 1) - j, i - j)"
_EVICTED = "evict_for_space(_A, 1, g, w)"
_TURNED = "rotary(K_kept, arange(n), theta)"

MISTAKES = (
    mistake(
        "sinks-true-positions",
        "positions are those in the text, not in the cache",
        (_DISTANCE, "i - j"),
        functions=_WHOLE,
    ),
    mistake(
        "sinks-query-at-true-position",
        "the query is turned by its position in the text, the keys by theirs in the cache",
        ("array([n - 1])", "array([i])"),
        ("rotary(q[:, None], array([t_x]), theta)", "rotary(q[:, None], array([i]), theta)"),
        functions=(*_STREAM, *_RING),
    ),
    mistake(
        "sinks-turned-keys-cached",
        "keys are kept as their positions in the text have turned them, and the query has its position in the cache",
        (
            Rewrite("K[:, i]", "rotary(K[:, [i]], array([i]), theta)[:, 0]"),
            Rewrite(_TURNED, "K_kept"),
        ),
        functions=_STREAM,
    ),
    mistake(
        "sinks-turned-keys-turned-again",
        "keys that are turned already are turned again at every step",
        ("K[:, i]", "rotary(K[:, [i]], array([i]), theta)[:, 0]"),
        functions=_STREAM,
    ),
    mistake(
        "sinks-evicted-after",
        "room is made after a token is read: it sees one more",
        (_EVICTED, "evict_for_space(_A, 0, g, w)"),
        (Rewrite("i - j < w", "i - j <= w"), Rewrite("g + w - 1", "g + w")),
        together=True,
        functions=(*_STREAM, *_WHOLE),
    ),
    mistake(
        "sinks-not-kept",
        "the first tokens leave the cache like all others: a window of the same size",
        (_EVICTED, "evict_for_space(_A, 1, 0, g + w)"),
        (Rewrite("j < g or i - j < w", "i - j < g + w"), Rewrite(_DISTANCE, "i - j")),
        together=True,
        functions=(*_STREAM, *_WHOLE),
    ),
    mistake(
        "sinks-newest-evicted",
        "where room is needed the newest tokens go, not the oldest",
        ("A[:, n - w + m :]", "A[:, g : g + w - m]"),
        functions=("evict_for_space",),
    ),
    mistake(
        "sinks-at-one-distance",
        "all sinks are at the same distance, as in LM-Infinite, instead of keeping their order",
        ("min(i, g + w - 1) - j", "where(i - j < w, i - j, w)"),
        functions=_WHOLE,
    ),
    mistake(
        "sinks-overwritten",
        "the ring goes through the whole cache, and overwrites the sinks",
        ("g + (i - g) % w", "i % (g + w)"),
        functions=_RING,
    ),
    mistake(
        "sinks-positions-of-rows",
        "a key's position is its row, where the ring has gone round",
        ("t_x - (i - a) % w", "a"),
        functions=_RING,
    ),
    mistake(
        "sinks-empty-rows-seen",
        "rows that no token has taken yet are attended to",
        ("where(Mask, s, -inf)", "s"),
        functions=_RING,
    ),
    mistake(
        "sinks-off-by-none",
        "the softmax that may give nothing is the ordinary one",
        ("exp(-m) + E.sum(axis=0)", "E.sum(axis=0)"),
        functions=("softmax_1",),
    ),
    mistake(
        "sinks-off-by-one-unscaled",
        "1 is added to the sum after the greatest score was taken off",
        ("exp(-m) + E.sum(axis=0)", "1 + E.sum(axis=0)"),
        functions=("softmax_1",),
    ),
)
