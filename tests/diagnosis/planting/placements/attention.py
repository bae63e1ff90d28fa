"""Mistakes in Algorithm 4, alone and inside others: scores, softmax, and what is made of which sequence."""

from ..placement import place

_ROOT = "softmax(S if self.score is not None else self.scaled(S, d_attn))"
_SCALED = "self.scaled(S, d_attn)"
_WIDTH = "attending.weights(S, mask, Q.shape[-1], t_x"
_SCORES = "scores(Q, K)"
_Q = "affine(X, params.W_q, params.b_q)"
_K = "affine(Z, params.W_k, params.b_k)"
_V = "affine(Z, params.W_v, params.b_v)"
_RETURN = "return attend(Q, K, V, mask"


_FILES = {_ROOT: "attending.py", _WIDTH: "attend.py", _SCORES: "attend.py"}


def _at(algorithm, ids, *changes):
    return place(algorithm, _FILES.get(changes[0][0], "attention.py"), ids, *changes)


PLACEMENTS = (
    _at(4, "scale-missing", (_ROOT, "softmax(S)")),
    _at(11, "scale-missing", (_ROOT, "softmax(S)")),
    _at(5, "scale-inverted", (_ROOT, "softmax(S * root(d_attn, S))")),
    _at(8, "scale-without-root", (_ROOT, "softmax(S / d_attn)")),
    _at(9, "scale-by-value-width", (_WIDTH, _WIDTH.replace("Q", "V"))),
    _at(10, "scale-by-model-width", (_RETURN, "return attend(Q * (Q.shape[-1] / X.shape[-1]) ** 0.5, K, V, mask")),
    _at(4, "scale-by-context-length", (_ROOT, "softmax(S / jnp.sqrt(S.shape[-1]))")),
    _at(5, "scale-after-softmax", (_ROOT, "softmax(S) / root(d_attn, S)")),
    _at(4, "softmax-axis", (_ROOT, f"jax.nn.softmax({_SCALED}, axis=-2)")),
    _at(9, "softmax-axis", (_ROOT, f"jax.nn.softmax({_SCALED}, axis=-2)")),
    _at(5, "softmax-axis", (_ROOT, f"jax.nn.softmax({_SCALED}, axis=1)")),
    _at(4, "softmax-of-all", (_ROOT, f"jax.nn.softmax({_SCALED}, axis=None)")),
    _at(10, "softmax-of-all", (_ROOT, f"jax.nn.softmax({_SCALED}, axis=(-2, -1))")),
    _at(9, "softmax-missing", (_ROOT, _SCALED)),
    _at(4, "softmax-missing", (_ROOT, _SCALED)),
    _at(5, "softmax-not-normalised", (_ROOT, f"jnp.exp({_SCALED})")),
    _at(4, "softmax-not-normalised", (_ROOT, "jnp.exp((S - S.max(-1, keepdims=True)) / root(d_attn, S))")),
    _at(
        5,
        "softmax-with-one",
        (_ROOT, f"(lambda w: w / (1 + w.sum(axis=-1, keepdims=True)))(jnp.exp({_SCALED}))"),
    ),
    _at(10, "softmax-sigmoid", (_ROOT, f"jax.nn.sigmoid({_SCALED})")),
    _at(4, "scores-transposed", (_SCORES, "K @ Q.mT")),
    _at(9, "scores-transposed", (_SCORES, "K @ Q.mT")),
    _at(10, "scores-transposed", (_SCORES, "(Q @ K.mT).mT")),
    _at(
        10,
        "query-key-swapped",
        (_Q, "affine(X, params.W_k, params.b_k)"),
        (_K, "affine(Z, params.W_q, params.b_q)"),
    ),
    _at(
        9,
        "query-key-swapped",
        (_Q, "affine(X, params.W_k, params.b_q)"),
        (_K, "affine(Z, params.W_q, params.b_k)"),
    ),
    _at(
        5,
        "key-value-swapped",
        (_K, _V),
        (_V, _K),
    ),
    _at(
        8,
        "key-value-swapped",
        (_K, "affine(Z, params.W_v, params.b_k)"),
        (_V, "affine(Z, params.W_k, params.b_v)"),
    ),
    _at(
        4,
        "query-value-swapped",
        (_Q, "affine(X, params.W_v, params.b_v)"),
        (_V, "affine(Z, params.W_q, params.b_q)"),
    ),
    _at(8, "query-of-context", (_Q, "affine(Z, params.W_q, params.b_q)")),
    _at(4, "query-of-context", (_Q, "affine(Z, params.W_q, params.b_q)")),
    _at(4, "key-of-primary", (_K, "affine(X, params.W_k, params.b_k)")),
    _at(8, "key-of-primary", (_K, "affine(X, params.W_k, params.b_k)")),
    _at(5, "value-of-primary", (_V, "affine(X, params.W_v, params.b_v)")),
    _at(
        5,
        "context-ignored",
        (_K, "affine(X, params.W_k, params.b_k)"),
        (_V, "affine(X, params.W_v, params.b_v)"),
    ),
    _at(10, "value-is-key", (_RETURN, "return attend(Q, K, K, mask")),
    _at(4, "scores-of-distance", (_SCORES, "-((Q[..., :, None, :] - K[..., None, :, :]) ** 2).sum(axis=-1)")),
    _at(4, "bias-forgotten", (_Q, "affine(X, params.W_q)")),
    _at(8, "bias-forgotten", (_V, "affine(Z, params.W_v)")),
    _at(5, "bias-subtracted", (_Q, "affine(X, params.W_q, -params.b_q)")),
    _at(10, "weight-transposed", (_Q, "affine(X, params.W_q.mT, params.b_q)")),
    _at(4, "weight-transposed", (_K, "Z @ params.W_k + params.b_k")),
)
