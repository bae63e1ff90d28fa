"""Mistakes of shape at the border: what comes in or goes out is transposed, or reshaped instead."""

from ..mistakes import Rewrite, mistake

_MATRICES = {"_R": "V_tilde|P"}


def _given(changed: str) -> tuple[tuple[Rewrite, ...], ...]:
    """The ways to change what attention is given: the one sequence, the other, both."""
    X, Z = changed.format("X"), changed.format("Z")
    primary = (Rewrite("W_q @ X", f"W_q @ {X}"),)
    context = (Rewrite("W_k @ Z", f"W_k @ {Z}"), Rewrite("W_v @ Z", f"W_v @ {Z}"))
    heads = [
        (Rewrite("attention(X, Z, _W, _M)", f"attention({x}, {z}, _W, _M)"),) for x, z in ((X, "Z"), ("X", Z), (X, Z))
    ]
    return primary, context, primary + context, *heads


MISTAKES = (
    mistake(
        "output-transposed",
        "the result is transposed",
        Rewrite("return _R", "return _R.T", _MATRICES),
        border=True,
    ),
    mistake(
        "output-reshaped",
        "the result is reshaped where it should be transposed",
        Rewrite("return _R", "return reshaped(_R)", _MATRICES),
        Rewrite("return _R", "return reshaped_rows(_R)", _MATRICES),
        border=True,
    ),
    mistake(
        "output-last-only",
        "only the last token's column is returned",
        Rewrite("return _R", "return _R[:, -1:]", _MATRICES),
        Rewrite("return _R", "return _R[:, -1]", _MATRICES),
        border=True,
    ),
    mistake(
        "output-reversed",
        "the tokens come out in the opposite order",
        Rewrite("return _R", "return _R[:, ::-1]", _MATRICES),
        Rewrite("return _R", "return _R[::-1]", {"_R": "y|x_hat"}),
        border=True,
    ),
    mistake(
        "input-transposed",
        "a sequence is transposed: its features are taken for its tokens",
        *_given("{}.T"),
        border=True,
    ),
    mistake(
        "input-reshaped",
        "a sequence is reshaped where it should be transposed",
        *_given("reshaped({})"),
        *_given("reshaped_rows({})"),
        border=True,
    ),
)
