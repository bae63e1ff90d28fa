"""Mistakes in the layers of an architecture: residuals, feed-forward networks, the order of things."""

from ..mistakes import Rewrite, mistake

_STACKS = ("layers", "encoder", "decoder")
_ACTIVATION = {"_G": "GELU|ReLU"}
_IS_BIAS = {"_b": r"W\.b_\w+\[:, None\]", "_X": "X|Z"}

MISTAKES = (
    mistake(
        "residual-missing",
        "the residual is missing: the sublayer's answer replaces its input",
        Rewrite("_X = _X + mh_attention(_Y, _Z, _A, _M)", "_X = mh_attention(_Y, _Z, _A, _M)"),
        Rewrite("_X = _X + _f + _b", "_X = _f + _b", _IS_BIAS),
    ),
    mistake(
        "residual-doubled",
        "the residual is added twice",
        Rewrite("_X = _X + mh_attention(_Y, _Z, _A, _M)", "_X = _X + _X + mh_attention(_Y, _Z, _A, _M)"),
        Rewrite("_X = _X + _f + _b", "_X = _X + _X + _f + _b", _IS_BIAS),
    ),
    mistake(
        "residual-of-normalised",
        "the residual adds the normalised activations instead of those that are not normalised",
        Rewrite("_X = _X + mh_attention(_Y, _Y, _A, _M)", "_X = _Y + mh_attention(_Y, _Y, _A, _M)", {"_Y": "X_tilde"}),
        Rewrite("_X = _X + _V @ _G(_U @ X_tilde + _c) + _d", "_X = X_tilde + _V @ _G(_U @ X_tilde + _c) + _d"),
    ),
    mistake(
        "residual-subtracted",
        "the sublayer's answer is subtracted instead of added",
        Rewrite("_X = _X + mh_attention(_Y, _Z, _A, _M)", "_X = _X - mh_attention(_Y, _Z, _A, _M)"),
        Rewrite("_X = _X + _f + _b", "_X = _X - (_f + _b)", _IS_BIAS),
    ),
    mistake(
        "residual-averaged",
        "input and answer of the sublayer are averaged, or scaled by √½, instead of added",
        Rewrite("_X = _X + mh_attention(_Y, _Z, _A, _M)", "_X = (_X + mh_attention(_Y, _Z, _A, _M)) / 2"),
        Rewrite("_X = _X + mh_attention(_Y, _Z, _A, _M)", "_X = (_X + mh_attention(_Y, _Z, _A, _M)) / sqrt(2)"),
        Rewrite("_X = _X + _f + _b", "_X = (_X + _f + _b) / 2", _IS_BIAS),
        Rewrite("_X = _X + _f + _b", "_X = (_X + _f + _b) / sqrt(2)", _IS_BIAS),
    ),
    mistake(
        "attention-of-unnormalised",
        "attention reads the activations that are not normalised",
        Rewrite("mh_attention(X_tilde, X_tilde, _A, _M)", "mh_attention(X, X, _A, _M)"),
    ),
    mistake(
        "context-not-normalised",
        "attention takes queries of the normalised activations and keys and values of those that are not normalised",
        Rewrite("mh_attention(X_tilde, X_tilde, _A, _M)", "mh_attention(X_tilde, X, _A, _M)"),
    ),
    mistake(
        "mlp-of-unnormalised",
        "the feed-forward network reads the activations that are not normalised",
        Rewrite("_G(_U @ X_tilde + _c)", "_G(_U @ X + _c)", _ACTIVATION),
    ),
    mistake(
        "attention-missing",
        "an attention sublayer is missing",
        Rewrite("_X = _X + mh_attention(_Y, _Z, _A, _M)", "_X = _X"),
    ),
    mistake(
        "mlp-missing",
        "the feed-forward network is missing",
        Rewrite("_X = _X + _f + _b", "_X = _X", _IS_BIAS),
    ),
    mistake(
        "sublayers-parallel",
        "attention and feed-forward network both read the layer's input, in parallel",
        Rewrite(
            "_T = _N\n_X = _X + mh_attention(_T, _T, _A, _M)\n_T = _P\n_X = _X + _f + _b",
            "Y = _X\n_T = _N\nA = mh_attention(_T, _T, _A, _M)\n_T = _P\n_X = Y + A + _f + _b",
        ),
        Rewrite(
            "_T = _N\n_X = _X + mh_attention(_T, _T, _A, _M)\n_T = _P\n_X = _X + _f + _b",
            "_T = _N\n_X = _X + mh_attention(_T, _T, _A, _M) + _f + _b",
        ),
    ),
    mistake(
        "sublayers-swapped",
        "the feed-forward network comes before attention",
        Rewrite(
            "_T = _N\n_X = _X + mh_attention(_T, _T, _A, _M)\n_T = _P\n_X = _X + _f + _b",
            "_T = _P\n_X = _X + _f + _b\n_T = _N\n_X = _X + mh_attention(_T, _T, _A, _M)",
        ),
        Rewrite(
            "_X = _X + mh_attention(_X, _X, _A, _M)\n_X = _N\n_X = _X + _f + _b\n_X = _P",
            "_X = _X + _f + _b\n_X = _P\n_X = _X + mh_attention(_X, _X, _A, _M)\n_X = _N",
        ),
    ),
    mistake(
        "cross-before-self",
        "cross-attention comes before self-attention",
        Rewrite(
            "X = X + mh_attention(X, X, _A, _M)\nX = _N\nX = X + mh_attention(X, Z, _B, _C)\nX = _P",
            "X = X + mh_attention(X, Z, _B, _C)\nX = _P\nX = X + mh_attention(X, X, _A, _M)\nX = _N",
        ),
    ),
    mistake(
        "attention-parameters-swapped",
        "self-attention and cross-attention have each other's parameters",
        (Rewrite("W.self_attention", "W.cross_attention"), Rewrite("W.cross_attention", "W.self_attention")),
        together=True,
    ),
    mistake(
        "layers-share-parameters",
        "all layers use the parameters of one",
        *((stack, f"[{stack}[{i}]] * len({stack})") for stack in _STACKS for i in ("0", "-1")),
    ),
    mistake(
        "layers-reversed",
        "the layers run in the opposite order",
        *((stack, f"{stack}[::-1]") for stack in _STACKS),
    ),
    mistake(
        "layers-one-short",
        "one layer is left out",
        *((stack, f"{stack}[{part}]") for stack in _STACKS for part in (":-1", "1:")),
    ),
    mistake(
        "activation-tanh",
        "GELU is the approximation by tanh instead of the exact form",
        ("GELU(_x)", "GELU_tanh(_x)"),
    ),
    mistake(
        "activation-sigmoid",
        "GELU is the approximation x σ(1.702 x) instead of the exact form",
        ("GELU(_x)", "GELU_sigmoid(_x)"),
    ),
    mistake(
        "activation-relu",
        "the activation is ReLU instead of GELU",
        ("GELU(_x)", "ReLU(_x)"),
    ),
    mistake(
        "activation-gelu",
        "the activation is GELU instead of ReLU",
        ("ReLU(_x)", "GELU(_x)"),
        ("ReLU(_x)", "GELU_tanh(_x)"),
    ),
    mistake(
        "activation-silu",
        "the activation is SiLU",
        ("GELU(_x)", "SiLU(_x)"),
        ("ReLU(_x)", "SiLU(_x)"),
    ),
    mistake(
        "activation-saturates",
        "the activation is tanh or a sigmoid",
        ("GELU(_x)", "tanh(_x)"),
        ("ReLU(_x)", "tanh(_x)"),
        ("GELU(_x)", "sigmoid(_x)"),
        ("ReLU(_x)", "sigmoid(_x)"),
    ),
    mistake(
        "activation-missing",
        "there is no activation",
        ("GELU(_x)", "_x"),
        ("ReLU(_x)", "_x"),
    ),
    mistake(
        "activation-of-output",
        "the activation is not between the network's two products, but before or after them",
        Rewrite("_X = _X + _V @ _G(_U @ _Y + _c) + _d", "_X = _X + _G(_V @ (_U @ _Y + _c) + _d)", _ACTIVATION),
        Rewrite("_V @ _G(_U @ _X + _c)", "_G(_V @ (_U @ _X + _c))", _ACTIVATION),
        Rewrite("_V @ _G(_U @ _X + _c)", "_V @ (_U @ _G(_X) + _c)", _ACTIVATION),
        Rewrite("_G(_U @ _X + _c)", "(_G(_U @ _X) + _c)", _ACTIVATION),
    ),
)
