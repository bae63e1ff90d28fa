"""Mistakes with masks: in attention itself, and in which attention has which mask."""

from ..mistakes import Rewrite, mistake

_MASKED = "S = where(Mask, S, -inf)"
# One finite score stands for all: on telling cases with scores of 1e11 they are the same, and elsewhere -∞ in effect.
_UNIDIRECTIONAL = "unidirectional(_a, _b)"


MISTAKES = (
    mistake(
        "mask-ignored",
        "the mask is not applied",
        (_MASKED, ""),
    ),
    mistake(
        "mask-transposed",
        "the mask is transposed: a token is seen by those that it should see",
        ("where(Mask, S, -inf)", "where(Mask.T, S, -inf)"),
        (_UNIDIRECTIONAL, "unidirectional(_b, _a).T"),
    ),
    mistake(
        "mask-inverted",
        "the mask is inverted: what should be seen is hidden",
        ("where(Mask, S, -inf)", "where(~Mask, S, -inf)"),
        (_UNIDIRECTIONAL, "~unidirectional(_a, _b)"),
    ),
    mistake(
        "mask-finite",
        "what is masked gets a finite score instead of -∞",
        ("where(Mask, S, -inf)", "where(Mask, S, -1e4)"),
        ("where(Mask, S, -inf)", "where(Mask, S, S - 1e4)"),
    ),
    mistake(
        "mask-finite-after-scale",
        "what is masked gets a finite score, which is not scaled, instead of -∞",
        *(
            (
                Rewrite(_MASKED, ""),
                Rewrite("softmax(_S / _d)", f"softmax(where(Mask, _S / _d, {score}))"),
            )
            for score in ("-1e4", "_S / _d - 1e4")
        ),
        together=True,
    ),
    mistake(
        "mask-zero",
        "what is masked gets the score 0 instead of -∞: the scores are multiplied by the mask",
        ("where(Mask, S, -inf)", "where(Mask, S, 0.0)"),
    ),
    mistake(
        "mask-added",
        "the mask's zeros and ones are added to the scores",
        ("where(Mask, S, -inf)", "S + Mask"),
        (Rewrite(_MASKED, ""), Rewrite("softmax(_S / _d)", "softmax(_S / _d + Mask)")),
        together=True,
    ),
    mistake(
        "mask-after-softmax",
        "the mask is applied after the softmax: the weights of a token no longer sum to one",
        (Rewrite(_MASKED, ""), Rewrite("softmax(_A)", "(softmax(_A) * Mask)")),
        together=True,
    ),
    mistake(
        "mask-on-values",
        "the weights are masked along the wrong sequence: what is hidden gets the answers, not the context",
        (
            Rewrite(_MASKED, ""),
            Rewrite("V @ softmax(_A)", "V @ softmax(_A) * Mask.any(axis=0)"),
        ),
        together=True,
    ),
    mistake(
        "mask-causal-missing",
        "the mask is bidirectional where it should be unidirectional: a token sees those after it",
        (_UNIDIRECTIONAL, "bidirectional(_a, _b)"),
    ),
    mistake(
        "mask-causal-added",
        "the mask is unidirectional where it should be bidirectional",
        ("bidirectional(_a, _b)", "unidirectional(_a, _b)"),
    ),
    mistake(
        "mask-strict",
        "the mask is strict: a token does not see itself",
        (_UNIDIRECTIONAL, "unidirectional(_a, _b) & ~eye(_a, _b, dtype=bool)"),
        (
            _UNIDIRECTIONAL,
            "where(arange(_b) == 0, True, unidirectional(_a, _b) & ~eye(_a, _b, dtype=bool))",
        ),
    ),
    mistake(
        "mask-leaks-one",
        "a token sees one token too far: the next one",
        (_UNIDIRECTIONAL, "unidirectional(_a, _b) | eye(_a, _b, k=-1, dtype=bool)"),
    ),
    mistake(
        "mask-one-short",
        "a token does not see the first token",
        (_UNIDIRECTIONAL, "unidirectional(_a, _b) & (arange(_a) > 0)[:, None]"),
        (_UNIDIRECTIONAL, "unidirectional(_a, _b) & ((arange(_a) > 0)[:, None] | (arange(_b) == 0)[None, :])"),
    ),
    mistake(
        "mask-diagonal",
        "a token sees only itself",
        (_UNIDIRECTIONAL, "eye(_a, _b, dtype=bool)"),
        ("bidirectional(_a, _b)", "eye(_a, _b, dtype=bool)"),
    ),
)
