"""Mistakes with MEGABYTE: its two shifts, what goes from the global to the local stack, and which bytes are counted."""

from ...mistakes import mistake

_DENSE, _STEP, _LOSS = ("megabyte",), ("next_byte",), ("bits_per_byte",)
_MOVED = "column_stack([concatenate(theta.pad_G.T), *patches[: K - 1]])"
_BYTES = "[theta.pad_L, *[theta.E_L[:, v] for v in x[k * P : (k + 1) * P - 1]]]"
_CONTEXT = "G_out[:, k].reshape(P, -1).T"
_COST = "-sum(log2(p[x[t], t]) for t in range(len(x))) / len(x)"

MISTAKES = (
    mistake(
        "megabyte-patches-not-moved",
        "the global stack reads patches that are not moved: it tells a patch its own bytes",
        (_MOVED, "column_stack(patches)"),
        functions=_DENSE,
    ),
    mistake(
        "megabyte-patches-moved-by-a-byte",
        "the global stack reads bytes moved by one byte, not by one patch: it tells a patch all but its last byte",
        (
            _MOVED,
            "column_stack([concatenate([theta.pad_G[:, 0], *h][k * P : (k + 1) * P]) for k in range(K)])",
        ),
        functions=_DENSE,
    ),
    mistake(
        "megabyte-patches-moved-twice",
        "the global stack reads patches moved by two: the patch before is not known",
        (_MOVED, "column_stack([concatenate(theta.pad_G.T), concatenate(theta.pad_G.T), *patches])[:, :K]"),
        functions=_DENSE,
    ),
    mistake(
        "megabyte-bytes-not-moved",
        "the local stack reads bytes that are not moved: a byte is predicted from itself",
        (_BYTES, "[theta.E_L[:, v] for v in x[k * P : (k + 1) * P]]"),
        functions=_DENSE,
    ),
    mistake(
        "megabyte-bytes-moved-across-patches",
        "the first slot of a patch reads the byte before it, where the pad belongs",
        (_BYTES, "[theta.pad_L if t == 0 else theta.E_L[:, x[t - 1]] for t in range(k * P, (k + 1) * P)]"),
        functions=_DENSE,
    ),
    mistake(
        "megabyte-one-context",
        "all slots of a patch get the same context, the first one's",
        (_CONTEXT, "G_out[:, k].reshape(P, -1).T[:, :1] * ones(P)"),
        functions=(*_DENSE, *_STEP),
    ),
    mistake(
        "megabyte-context-across-features",
        "a row of the global stack is cut into D_G pieces of P features, not into P pieces of D_G",
        (_CONTEXT, "G_out[:, k].reshape(-1, P)"),
        functions=(*_DENSE, *_STEP),
    ),
    mistake(
        "megabyte-start-without-context",
        "the first slot of a patch gets no context: its byte is predicted without the patches before",
        ("column_stack(e) + L_ctx", "column_stack(e) + L_ctx * (arange(P) > 0)"),
        ("column_stack(e) + L_ctx[:, : n + 1]", "column_stack(e) + (L_ctx * (arange(P) > 0))[:, : n + 1]"),
        functions=(*_DENSE, *_STEP),
    ),
    mistake(
        "megabyte-positions-of-patches",
        "positions count patches: the bytes of a patch share one",
        ("theta.Pos_G[:, t]", "theta.Pos_G[:, t // P]"),
        functions=(*_DENSE, *_STEP),
    ),
    mistake(
        "megabyte-positions-of-slots",
        "positions begin at 0 in every patch",
        ("theta.Pos_G[:, t]", "theta.Pos_G[:, t % P]"),
        functions=(*_DENSE, *_STEP),
    ),
    mistake(
        "megabyte-context-late",
        "a patch gets the context of the patch before it: the global stack was read before its step",
        ("G_out[:, k]", "G_out[:, max(k - 1, 0)]"),
        functions=_STEP,
    ),
    mistake(
        "megabyte-byte-0-ignored",
        "byte 0 is taken for padding, and not counted in the loss",
        (_COST, "-sum(log2(p[x[t], t]) for t in range(len(x)) if x[t] > 0) / max(sum(v > 0 for v in x), 1)"),
        functions=_LOSS,
    ),
    mistake(
        "megabyte-first-byte-ignored",
        "the first byte of a text is not counted in the loss",
        (_COST, "-sum(log2(p[x[t], t]) for t in range(1, len(x))) / max(len(x) - 1, 1)"),
        functions=_LOSS,
    ),
    mistake(
        "megabyte-loss-in-nats",
        "the loss is in nats, not in bits",
        (_COST, f"log(2) * ({_COST})"),
        functions=_LOSS,
    ),
)
