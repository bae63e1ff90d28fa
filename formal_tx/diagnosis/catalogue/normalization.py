"""Mistakes in Algorithm 6, and in where it is applied."""

from ..mistakes import Rewrite, mistake

_LAYER_NORM = ("layer_norm",)
_NORM = "column_stack([layer_norm(_X[:, t], _g, _b, epsilon) for t in range(_l)])"
_NORM_OF = "column_stack([layer_norm({}[:, t], _g, _b, epsilon) for t in range(_l)])"
_ROOT = "sqrt(v + epsilon)"
_VARIANCE = "sum((e[i] - m) ** 2 for i in range(d_e)) / d_e"
_CENTRED = "(e - m) / _s"
_E_HAT = "(e - m) / _s * gamma + beta"

_FFN = "_V @ _G(_U @ {} + _c) + _d"

_PRE_ATTENTION = f"_T = {_NORM}\n_X = _X + mh_attention(_T, _T, _A, _M)"
_PRE_MLP = f"_T = {_NORM}\n_X = _X + {_FFN.format('_T')}"
_POST_SELF = f"_X = _X + mh_attention(_X, _X, _A, _M)\n_X = {_NORM}"
_POST_CROSS = f"_X = _X + mh_attention(_X, _Z, _A, _M)\n_X = {_NORM}"
_POST_MLP = f"_X = _X + {_FFN.format('_X')}\n_X = {_NORM}"

_TO_POST = (
    Rewrite(_PRE_ATTENTION, f"_X = _X + mh_attention(_X, _X, _A, _M)\n_X = {_NORM}"),
    Rewrite(_PRE_MLP, f"_X = _X + {_FFN.format('_X')}\n_X = {_NORM}"),
)
_TO_PRE = (
    Rewrite(_POST_SELF, f"N = {_NORM}\n_X = _X + mh_attention(N, N, _A, _M)"),
    Rewrite(_POST_CROSS, f"N = {_NORM}\n_X = _X + mh_attention(N, _Z, _A, _M)", {"_Z": "Z", "_X": "X"}),
    Rewrite(_POST_MLP, f"N = {_NORM}\n_X = _X + {_FFN.format('N')}"),
)


def _only(rewrite: Rewrite, stream: str) -> Rewrite:
    """The rewrite in the encoder alone, whose stream is Z, or in the decoder alone."""
    return Rewrite(rewrite.pattern, rewrite.replacement, {**rewrite.where, "_X": stream})


def _exchanged(a: int, b: int) -> tuple[Rewrite, ...]:
    """The rewrites that give two layer norms each other's parameters."""
    return tuple(
        Rewrite(f"W.{name}_{one}", f"W.{name}_{other}") for name in ("gamma", "beta") for one, other in ((a, b), (b, a))
    )


MISTAKES = (
    mistake(
        "norm-variance-unbiased",
        "the variance is divided by d_e - 1 (Bessel's correction) instead of d_e",
        (_VARIANCE, "sum((e[i] - m) ** 2 for i in range(d_e)) / (d_e - 1)"),
    ),
    mistake(
        "norm-variance-not-averaged",
        "the variance is a sum, not divided by d_e",
        (_VARIANCE, "sum((e[i] - m) ** 2 for i in range(d_e))"),
    ),
    mistake(
        "norm-variance-about-zero",
        "the variance is taken about 0 instead of the mean",
        (_VARIANCE, "sum(e[i] ** 2 for i in range(d_e)) / d_e"),
    ),
    mistake(
        "norm-not-rooted",
        "the variance divides instead of its root",
        (_ROOT, "(v + epsilon)"),
    ),
    mistake(
        "norm-variance-missing",
        "the activations are centred and not divided by the standard deviation",
        ("(e - m) / sqrt(v + epsilon)", "(e - m)"),
    ),
    mistake(
        "norm-epsilon-outside",
        "epsilon is added to the standard deviation, outside the root",
        (_ROOT, "(sqrt(v) + epsilon)"),
    ),
    mistake(
        "norm-epsilon-forgotten",
        "epsilon is forgotten",
        (_ROOT, "sqrt(v)"),
    ),
    mistake(
        "norm-epsilon-other",
        "epsilon is another number than the one that is asked for",
        *((_ROOT, f"sqrt(v + {epsilon})") for epsilon in ("1e-5", "1e-6", "1e-8", "1e-12", "1e-3")),
        *((_ROOT, f"(sqrt(v) + {epsilon})") for epsilon in ("1e-5", "1e-6", "1e-8")),
    ),
    mistake(
        "norm-epsilon-in-variance-maximum",
        "epsilon bounds the variance from below instead of being added to it",
        (_ROOT, "sqrt(maximum(v, epsilon))"),
    ),
    mistake(
        "norm-not-centred",
        "the mean is not taken off the activations",
        (_CENTRED, "e / _s"),
    ),
    mistake(
        "norm-rms",
        "the root mean square divides and nothing is centred: RMSNorm instead of layer norm",
        (Rewrite("sum(e[i] for i in range(d_e)) / d_e", "0 * e[0]"),),
        together=True,
    ),
    mistake(
        "norm-mean-of-wrong-count",
        "the mean is divided by d_e - 1",
        ("sum(e[i] for i in range(d_e)) / d_e", "sum(e[i] for i in range(d_e)) / (d_e - 1)"),
    ),
    mistake(
        "norm-gamma-beta-swapped",
        "γ and β are swapped",
        (_E_HAT, "(e - m) / _s * beta + gamma"),
        ("layer_norm(_x, _g, _b, epsilon)", "layer_norm(_x, _b, _g, epsilon)"),
    ),
    mistake(
        "norm-gamma-forgotten",
        "γ is forgotten",
        (_E_HAT, "(e - m) / _s + beta"),
    ),
    mistake(
        "norm-beta-forgotten",
        "β is forgotten",
        (_E_HAT, "(e - m) / _s * gamma"),
    ),
    mistake(
        "norm-gamma-beta-forgotten",
        "γ and β are both forgotten",
        (_E_HAT, "(e - m) / _s"),
    ),
    mistake(
        "norm-gamma-plus-one",
        "the scale is 1 + γ instead of γ",
        (_E_HAT, "(e - m) / _s * (1 + gamma) + beta"),
    ),
    mistake(
        "norm-beta-before-gamma",
        "β is added before γ multiplies",
        (_E_HAT, "((e - m) / _s + beta) * gamma"),
    ),
    mistake(
        "norm-over-tokens",
        "layer norm takes mean and variance over the tokens instead of the features",
        (_NORM, "norm_over_tokens(_X, _g, _b, epsilon)"),
    ),
    mistake(
        "norm-over-all",
        "layer norm takes one mean and one variance of all tokens together",
        (_NORM, "norm_over_all(_X, _g, _b, epsilon)"),
    ),
    mistake(
        "norm-missing",
        "the layer norm with {_g} and {_b} is missing",
        (_NORM, "_X"),
    ),
    mistake(
        "norm-after",
        "the layer norm with {_g} comes after its sublayer (post-norm) instead of before it",
        *_TO_POST,
    ),
    mistake(
        "norms-after",
        "the layer norms come after their sublayers (post-norm) instead of before them",
        _TO_POST,
        together=True,
    ),
    mistake(
        "norm-before",
        "the layer norm with {_g} comes before its sublayer (pre-norm) instead of after it",
        *_TO_PRE,
    ),
    mistake(
        "norms-before",
        "the layer norms come before their sublayers (pre-norm) instead of after them",
        (_TO_PRE[0], _TO_PRE[2]),
        _TO_PRE,
        *((_only(_TO_PRE[0], stream), _only(_TO_PRE[2], stream)) for stream in ("Z", "X")),
        together=True,
    ),
    mistake(
        "norm-before-addition",
        "the layer norm with {_g} is applied to the sublayer's answer, before the residual is added",
        (_POST_SELF, f"N = mh_attention(_X, _X, _A, _M)\n_X = _X + {_NORM_OF.format('N')}"),
        (_POST_CROSS, f"N = mh_attention(_X, _Z, _A, _M)\n_X = _X + {_NORM_OF.format('N')}"),
        (_POST_MLP, f"N = {_FFN.format('_X')}\n_X = _X + {_NORM_OF.format('N')}"),
    ),
    mistake(
        "norm-parameters-swapped",
        "two layer norms of a layer have each other's parameters",
        *(_exchanged(a, b) for a, b in ((1, 2), (3, 4), (4, 5))),
        together=True,
    ),
    mistake(
        "norm-parameters-shared",
        "a layer norm has the parameters of another one of its layer",
        (Rewrite("W.gamma_2", "W.gamma_1"), Rewrite("W.beta_2", "W.beta_1")),
        (Rewrite("W.gamma_1", "W.gamma_2"), Rewrite("W.beta_1", "W.beta_2")),
        (Rewrite("W.gamma_4", "W.gamma_3"), Rewrite("W.beta_4", "W.beta_3")),
        (Rewrite("W.gamma_5", "W.gamma_4"), Rewrite("W.beta_5", "W.beta_4")),
        together=True,
    ),
)
