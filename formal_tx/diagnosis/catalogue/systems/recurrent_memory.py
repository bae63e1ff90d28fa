"""Mistakes with the Recurrent Memory Transformer: a memory not carried, in the wrong place, or that sees too much."""

from ...mistakes import Rewrite, mistake

_MASK, _DECODER, _ENCODER = ("memory_mask",), ("rmt_decoder",), ("rmt_encoder",)
_BOTH = (*_DECODER, *_ENCODER)

MISTAKES = (
    mistake(
        "rmt-memory-not-carried",
        "every segment begins with the first memory: nothing is carried from one to the next",
        ("M = H[:, 1:m + 1]", "M = M_0"),
        ("M = H[:, m + s:]", "M = M_0"),
        functions=_BOTH,
    ),
    mistake(
        "rmt-memory-from-the-read-rows",
        "the memory is taken from the rows in front of the segment, which saw nothing of it",
        ("M = H[:, m + s:]", "M = H[:, :m]"),
        functions=_DECODER,
    ),
    mistake(
        "rmt-write-rows-missing",
        "there are no rows to write behind the segment: the memory is what becomes of the rows in front",
        (
            Rewrite("concatenate([M, E, M], axis=1)", "concatenate([M, E], axis=1)"),
            Rewrite("M = H[:, m + s:]", "M = H[:, :m]"),
            Rewrite("Mask = memory_mask(_A, _B, _C)", "Mask = memory_mask(_A, _B, _C)[: m + s, : m + s]"),
        ),
        functions=_DECODER,
    ),
    mistake(
        "rmt-write-rows-of-the-first-memory",
        "the rows to write are those of the first memory, not of the one that is read",
        ("concatenate([M, E, M], axis=1)", "concatenate([M, E, M_0], axis=1)"),
        functions=_DECODER,
    ),
    mistake(
        "rmt-logits-one-row-early",
        "the logits are those of rows beside the tokens: one too early",
        ("H[:, m:m + s]", "H[:, max(m - 1, 0):max(m - 1, 0) + s]"),
        functions=_DECODER,
    ),
    mistake(
        "rmt-memory-added",
        "what was read is added to what is written: the backbone's residual stream has it already",
        ("M = H[:, m + s:]", "M = M + H[:, m + s:]"),
        ("M = H[:, 1:m + 1]", "M = M + H[:, 1:m + 1]"),
        functions=_BOTH,
    ),
    mistake(
        "rmt-mask-read-rows-in-turn",
        "of the memory that is read a row sees those before it alone, where all should see each other",
        ("Mask | _A & _B | _C", "Mask | _C"),
        functions=_MASK,
    ),
    mistake(
        "rmt-mask-write-rows-in-turn",
        "of the memory that is written a row sees those before it alone, where all should see each other",
        ("Mask | _C | write[:, None] & write[None, :]", "Mask | _C"),
        functions=_MASK,
    ),
    mistake(
        "rmt-encoder-memory-with-cls",
        "the memory is taken from one row too early: the first of them is that of [CLS]",
        ("H[:, 1:m + 1]", "H[:, :m]"),
        functions=_ENCODER,
    ),
    mistake(
        "rmt-encoder-memory-behind-sep",
        "the memory stands behind its separator, not in front of it",
        ("concatenate([E[:, :1], M, E[:, 1:]], axis=1)", "concatenate([E[:, :2], M, E[:, 2:]], axis=1)"),
        functions=_ENCODER,
    ),
    mistake(
        "rmt-encoder-last-sep-missing",
        "there is no separator behind the segment",
        (
            Rewrite("[cls, sep, *_X, sep]", "[cls, sep, *_X]"),
            Rewrite("bidirectional(m + s + 3, m + s + 3)", "bidirectional(m + s + 2, m + s + 2)"),
        ),
        functions=_ENCODER,
    ),
    mistake(
        "rmt-positions-missing",
        "rows have no positions: memory is given to the layers without the table that tokens have",
        ("H = H + theta.W_p[:, :H.shape[1]]", ""),
        functions=("backbone",),
    ),
    mistake(
        "rmt-final-norm-missing",
        "the memory is taken before the backbone's final norm",
        ("H = H if norm_x is None else norm(H, norm_x)", ""),
        functions=("backbone",),
    ),
)
