"""Mistakes in queries, keys, values and scores: Algorithms 3 and 4, lines 1 to 4 and the softmax."""

from ..mistakes import Rewrite, mistake

_SCALED = "_S / sqrt(d_attn)"
_UNNORMALISED = Rewrite("exp(_s - top) / Sum", "exp(_s)")


def _swapped(one: str, other: str) -> tuple[tuple[Rewrite, ...], ...]:
    """The ways to exchange two of W_q, W_k and W_v: with their biases, in Algorithms 3 and 4, and without."""

    def both(*forms: str) -> tuple[Rewrite, ...]:
        exchanged = ((one, other), (other, one))
        return tuple(Rewrite(form.format(a), form.format(b)) for form in forms for a, b in exchanged)

    return both("W_{} @ _X", "_Y + b_{}"), both("W_{} @ _X", "_Y + b_{}[:, None]"), both("W_{} @ _X")


MISTAKES = (
    mistake(
        "scale-missing",
        "the scores are not divided by √d_attn",
        (_SCALED, "_S"),
        together=True,
    ),
    mistake(
        "scale-inverted",
        "the scores are multiplied by √d_attn instead of divided",
        (_SCALED, "_S * sqrt(d_attn)"),
        together=True,
    ),
    mistake(
        "scale-without-root",
        "the scores are divided by d_attn instead of its root",
        (_SCALED, "_S / d_attn"),
        together=True,
    ),
    mistake(
        "scale-by-model-width",
        "the scores are divided by the root of the width of the token's vector instead of √d_attn",
        (_SCALED, "_S / sqrt(W_q.shape[1])"),
        together=True,
    ),
    mistake(
        "scale-by-value-width",
        "the scores are divided by the root of the width of the values instead of √d_attn",
        (_SCALED, "_S / sqrt(len(b_v))"),
        together=True,
    ),
    mistake(
        "scale-by-context-length",
        "the scores are divided by the root of the length of the context instead of √d_attn",
        Rewrite(_SCALED, "_S / sqrt(len(_S))", {"_S": "S"}),
        Rewrite(_SCALED, "_S / sqrt(T)", {"_S": r"q @ k\[.\]"}),
        together=True,
    ),
    mistake(
        "scale-after-softmax",
        "√d_attn divides the weights after the softmax instead of the scores before it",
        ("softmax(_S / sqrt(d_attn))", "softmax(_S) / sqrt(d_attn)"),
        (
            Rewrite(_SCALED, "_S"),
            Rewrite("_E / Sum", "_E / Sum / sqrt(d_attn)"),
        ),
        together=True,
    ),
    mistake(
        "softmax-axis",
        "the softmax sums over the wrong axis",
        Rewrite("softmax(_A)", "softmax(_A.T).T", {"_A": r"S.*|W_u @ X"}),
        together=True,
    ),
    mistake(
        "softmax-of-all",
        "the softmax is taken over all entries of the matrix at once",
        Rewrite("softmax(_A)", "softmax_of_all(_A)", {"_A": r"S.*|W_u @ X"}),
        together=True,
    ),
    mistake(
        "softmax-missing",
        "there is no softmax",
        ("softmax(_A)", "_A"),
        (Rewrite("exp(_s - top) / Sum", "_s"),),
        together=True,
    ),
    mistake(
        "softmax-not-normalised",
        "the exponentials are not divided by their sum",
        ("softmax(_A)", "exp(_A)"),
        ("softmax(_A)", "exp(_A - _A.max(axis=0))"),
        (_UNNORMALISED,),
        (Rewrite("exp(_s - top) / Sum", "exp(_s - top)"),),
        together=True,
    ),
    mistake(
        "softmax-with-one",
        "the denominator of the softmax has a one too much (“softmax1”)",
        ("softmax(_A)", "softmax_with_one(_A)"),
        ("softmax(_A)", "(exp(_A) / (1 + exp(_A).sum(axis=0)))"),
        ("softmax(_A)", "(exp(_A - _A.max(axis=0)) / (1 + exp(_A - _A.max(axis=0)).sum(axis=0)))"),
        (Rewrite("exp(_s - top) / Sum", "exp(_s - top) / (Sum + exp(-top))"),),
        (Rewrite("exp(_s - top) / Sum", "exp(_s) / (1 + Sum * exp(top))"),),
        (Rewrite("exp(_s - top) / Sum", "exp(_s - top) / (1 + Sum)"),),
        together=True,
    ),
    mistake(
        "softmax-overflows",
        "the largest score is not taken off before exp, which overflows",
        ("softmax(_A)", "(exp(_A) / exp(_A).sum(axis=0))"),
        (Rewrite("exp(_s - top) / Sum", "exp(_s) / (Sum * exp(top))"),),
        together=True,
    ),
    mistake(
        "softmax-sigmoid",
        "a sigmoid of every entry in the place of the softmax",
        ("softmax(_A)", "sigmoid(_A)"),
        (Rewrite("exp(_s - top) / Sum", "sigmoid(_s)"),),
        together=True,
    ),
    mistake(
        "scores-transposed",
        "the scores are transposed: rows ask and columns answer where it should be the other way round",
        ("K.T @ Q", "Q.T @ K"),
    ),
    mistake(
        "query-key-swapped",
        "W_q and W_k are swapped",
        *_swapped("q", "k"),
        together=True,
    ),
    mistake(
        "key-value-swapped",
        "W_k and W_v are swapped",
        *_swapped("k", "v"),
        together=True,
    ),
    mistake(
        "query-value-swapped",
        "W_q and W_v are swapped",
        *_swapped("q", "v"),
        together=True,
    ),
    mistake(
        "query-of-context",
        "the queries are made of the context instead of the sequence that asks",
        ("W_q @ X + b_q[:, None]", "W_q @ Z + b_q[:, None]"),
    ),
    mistake(
        "key-of-primary",
        "the keys are made of the sequence that asks instead of the context",
        ("W_k @ Z + b_k[:, None]", "W_k @ X + b_k[:, None]"),
    ),
    mistake(
        "value-of-primary",
        "the values are made of the sequence that asks instead of the context",
        ("W_v @ Z + b_v[:, None]", "W_v @ X + b_v[:, None]"),
    ),
    mistake(
        "context-ignored",
        "keys and values are made of the sequence that asks: self-attention where it should be cross-attention",
        (Rewrite("W_k @ Z", "W_k @ X"), Rewrite("W_v @ Z", "W_v @ X")),
        ("mh_attention(X, Z, _W, _M)", "mh_attention(X, X, _W, bidirectional(l_x, l_x))"),
        together=True,
    ),
    mistake(
        "value-is-key",
        "the keys are used as values",
        ("V @ softmax(_A)", "K @ softmax(_A)"),
        ("alpha[t] * v[t]", "alpha[t] * k[t]"),
    ),
    mistake(
        "scores-of-distance",
        "the scores are negative squared distances instead of products",
        Rewrite("K.T @ Q", "-((K[:, :, None] - Q[:, None, :]) ** 2).sum(axis=0)"),
        Rewrite("q @ k[_t]", "-((q - k[_t]) ** 2).sum()"),
        together=True,
    ),
    mistake(
        "bias-forgotten",
        "the bias {_b} is forgotten",
        Rewrite("_Y + _b[:, None]", "_Y", {"_b": r"(W\.)?b_\w+"}),
        Rewrite("_Y + _b", "_Y", {"_b": r"(W\.)?b_\w+"}),
    ),
    mistake(
        "bias-subtracted",
        "the bias {_b} is subtracted instead of added",
        Rewrite("_Y + _b[:, None]", "_Y - _b[:, None]", {"_b": r"(W\.)?b_\w+"}),
        Rewrite("_Y + _b", "_Y - _b", {"_b": r"(W\.)?b_\w+"}),
    ),
    mistake(
        "weight-transposed",
        "{_W} is transposed",
        Rewrite("_W @ _X", "_W.T @ _X", {"_W": r"(W\.)?W_\w+"}),
    ),
)
