"""Mistakes in Algorithm 10: embedding, layers, unembedding."""

from ..placement import place

_NORM_1 = 'X_tilde = line(5, "X_tilde", layer_norm(X, W.gamma_1, W.beta_1, epsilon=epsilon))'
_ATTEND = "answer, state = attend(X_tilde, W.attention, state)"
_ADD_1 = 'X = line(6, "X", X + drop(6, answer))'
_NORM_2 = 'X_tilde = line(7, "X_tilde", layer_norm(X, W.gamma_2, W.beta_2, epsilon=epsilon))'
_ADD_2 = 'X = line(8, "X", X + drop(8, affine(gelu(affine(X_tilde, W.W_mlp1, W.b_mlp1)), W.W_mlp2, W.b_mlp2)))'
_MLP = "affine(gelu(affine(X_tilde, W.W_mlp1, W.b_mlp1)), W.W_mlp2, W.b_mlp2)"
_FIRST_HALF = f"{_NORM_1}\n        {_ATTEND}\n        {_ADD_1}\n"
_SECOND_HALF = f"{_NORM_2}\n        {_ADD_2}\n"
_SCAN = "lax.scan(practice.layer(layer), X, (params.layers, states, drop.by_layer(hyperparameters.L)))"
_LAST = 'X = line(10, "X", layer_norm(X, params.gamma, params.beta, epsilon=epsilon))'
_LOGITS = "return affine(X, unembedding_matrix(params)), states\n\n\n@algorithm(d_requires"
_END = ", states\n\n\n@algorithm(d_requires"
_P = "jax.nn.softmax(d_transformer_logits(x, params, hyperparameters, lengths))"
_GELU = "return jax.nn.gelu(x, approximate=False)"
_TIED = "return params.W_e if params.W_u is None else params.W_u"
_ROWS = "X = rows(W_e, x)\n"
_SUM = "X = X + aligned(W_p[..., :length, :], X)"


def _at(ids, *changes, algorithm=10):
    return place(algorithm, "architectures.py", ids, *changes)


def _embedding(ids, *changes):
    return place(10, "embedding.py", ids, *changes)


PLACEMENTS = (
    _at("norm-missing attention-of-unnormalised", (_NORM_1, "X_tilde = X")),
    _at("norm-missing mlp-of-unnormalised", (_NORM_2, "X_tilde = X")),
    _at("norm-missing", (_LAST, "")),
    _at("norm-missing", (_LAST, ""), algorithm=14),
    _at("mlp-of-unnormalised norm-missing", (_MLP, _MLP.replace("X_tilde", "X"))),
    _at("context-not-normalised", (_ATTEND, "answer = mh_attention(X_tilde, X, W.attention, masks.causal)")),
    _at("attention-of-unnormalised norm-missing", (_ATTEND, "answer, state = attend(X, W.attention, state)")),
    _at(
        "norms-after",
        (_NORM_1, "X_tilde = X"),
        (_ADD_1, "X = layer_norm(X + answer, W.gamma_1, W.beta_1, epsilon=epsilon)"),
        (_NORM_2, "X_tilde = X"),
        (_ADD_2, f"X = layer_norm(X + {_MLP}, W.gamma_2, W.beta_2, epsilon=epsilon)"),
    ),
    _at(
        "norm-after",
        (_NORM_1, "X_tilde = X"),
        (_ADD_1, "X = layer_norm(X + answer, W.gamma_1, W.beta_1, epsilon=epsilon)"),
    ),
    _at("residual-missing", (_ADD_1, "X = answer")),
    _at("residual-missing", (_ADD_2, f"X = {_MLP}")),
    _at("residual-doubled", (_ADD_1, "X = 2 * X + answer")),
    _at("residual-of-normalised", (_ADD_1, "X = X_tilde + answer")),
    _at("residual-of-normalised", (_ADD_2, f"X = X_tilde + {_MLP}")),
    _at("residual-subtracted", (_ADD_2, f"X = X - {_MLP}")),
    _at("residual-averaged", (_ADD_1, "X = (X + answer) / 2")),
    _at("residual-averaged", (_ADD_2, f"X = (X + {_MLP}) * 0.5**0.5")),
    _at("attention-missing", (_ADD_1, "")),
    _at("mlp-missing", (_ADD_2, "")),
    _at("sublayers-parallel", (_ADD_1, ""), (_ADD_2, f"X = X + answer + {_MLP}")),
    _at("sublayers-swapped", (f"{_FIRST_HALF}        {_SECOND_HALF}", f"{_SECOND_HALF}        {_FIRST_HALF}")),
    _at("norm-parameters-shared", (_NORM_2, _NORM_2.replace("gamma_2", "gamma_1").replace("beta_2", "beta_1"))),
    _at(
        "norm-parameters-swapped",
        (_NORM_1, _NORM_1.replace("_1, W", "_2, W").replace("beta_1", "beta_2")),
        (_NORM_2, _NORM_2.replace("_2, W", "_1, W").replace("beta_2", "beta_1")),
    ),
    _at("norm-gamma-beta-swapped", (_NORM_1, _NORM_1.replace("W.gamma_1, W.beta_1", "W.beta_1, W.gamma_1"))),
    _at(
        "layers-share-parameters",
        (_SCAN, _SCAN.replace("params.layers", "jax.tree.map(lambda W: 0 * W + W[:1], params.layers)")),
    ),
    _at("layers-reversed", (_SCAN, f"{_SCAN[:-1]}, reverse=True)")),
    _at("layers-one-short", (_SCAN, _SCAN.replace("params.layers", "jax.tree.map(lambda W: W[1:], params.layers)"))),
    _at("activation-tanh", (_GELU, "return jax.nn.gelu(x)")),
    _at("activation-tanh", (_GELU, "return jax.nn.gelu(x)"), algorithm=13),
    _at("activation-relu", (_GELU, "return jax.nn.relu(x)")),
    _at("activation-saturates", (_GELU, "return jnp.tanh(x)")),
    _at("activation-missing", (_MLP, _MLP.replace("gelu", ""))),
    _at("activation-of-output", (_MLP, "gelu(affine(affine(X_tilde, W.W_mlp1, W.b_mlp1), W.W_mlp2, W.b_mlp2))")),
    _at("bias-forgotten", (_MLP, "affine(gelu(affine(X_tilde, W.W_mlp1)), W.W_mlp2, W.b_mlp2)")),
    _at("weight-transposed", (_MLP, "(gelu(X_tilde @ W.W_mlp1 + W.b_mlp1) @ W.W_mlp2.T + W.b_mlp2)")),
    _at("unembedding-tied", (_TIED, "return params.W_e")),
    _at("unembedding-scaled", (_LOGITS, f"return affine(X, unembedding_matrix(params)) / X.shape[-1] ** 0.5{_END}")),
    _at("probabilities-logarithmic", (_P, _P.replace("softmax", "log_softmax"))),
    _at("softmax-missing", (_P, _P.removeprefix("jax.nn.softmax"))),
    _at("softmax-axis", (_P, f"{_P[:-1]}, axis=0)")),
    _at(
        "position-in-every-layer",
        (_NORM_1, f"X = X + params.W_p[: X.shape[-2]]\n        {_NORM_1}"),
    ),
    _embedding("embedding-scaled", (_ROWS, "X = rows(W_e, x) * jnp.sqrt(W_e.shape[-1])\n")),
    _embedding("token-off-by-one", (_ROWS, "X = W_e[x - 1]\n")),
    _embedding("position-off-by-one", (_SUM, "X = X + W_p[1 : length + 1]")),
    _embedding("position-of-first", (_SUM, "X = X + W_p[0]")),
    _embedding("position-scaled", (_SUM, "X = X + W_p[:length] * W_p.shape[-1] ** 0.5")),
)
