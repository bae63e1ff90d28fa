"""Mistakes in Algorithm 10: embedding, layers, unembedding."""

from ..placement import place

_NORM_1 = 'X_tilde = line(5, "X_tilde", before(X, W.gamma_1, W.beta_1))'
_ATTEND = "answer, state = attend(X_tilde, W.attention, state, window)"
_ADD_1 = "Y = after(X + drop(6, branch(answer, W.branch_1)), W.gamma_1, W.beta_1)"
_NORM_2 = 'X_tilde = line(7, "X_tilde", _second_input(hp.placement, before, X_tilde, X, Y, W))'
_BRANCH_2 = "drop(8, branch(mlp(X_tilde, W.mlp, activation, inner), W.branch_2))"
_ADD_2 = f"X = after(Y + {_BRANCH_2}, W.gamma_2, W.beta_2)"
_MLP = "mlp(X_tilde, W.mlp, activation, inner)"
_SCAN = (
    "(params.layers, states, hp.windows_of(L), drop.by_layer(L))\n"
    "    X, states = lax.scan(practice.layer(layer), X, of_layers, length=L)"
)
_LAST = '    if hp.final_norm:\n        X = line(10, "X", hp.normalise(X, params.gamma, params.beta))\n'
_LOGITS = "logits = affine(X, unembedding_matrix(params), params.b_u)"
_P = "jax.nn.softmax(d_transformer_logits(x, params, hyperparameters, lengths))"
_GELU = "return 0.5 * x * (1 + jax.lax.erf(x * 2**-0.5))"
_IN = "affine(X, params.W_in, params.b_in)"
_ACTIVATED = "hidden = activation(hidden)"
_OUT = "affine(inner(hidden, params.gamma, params.beta), params.W_out, params.b_out)"
_TIED = "return params.W_e if params.W_u is None else params.W_u"
_ROWS = "X = rows(W_e, x)\n"
_SUM = "X = X + aligned(W_p[..., :length, :], X)"


def _at(ids, *changes, algorithm=10):
    return place(algorithm, "architectures.py", ids, *changes)


def _activations(ids, *changes, algorithm=10):
    return place(algorithm, "activations.py", ids, *changes)


def _mlp(ids, *changes):
    return place(10, "mlp.py", ids, *changes)


def _embedding(ids, *changes):
    return place(10, "embedding.py", ids, *changes)


PLACEMENTS = (
    _at("norm-missing attention-of-unnormalised", (_NORM_1, "X_tilde = X")),
    _at("norm-missing mlp-of-unnormalised", (_NORM_2, "X_tilde = Y")),
    _at("norm-missing", (_LAST, "")),
    _at("norm-missing", (_LAST, ""), algorithm=14),
    _at("mlp-of-unnormalised norm-missing", (_BRANCH_2, _BRANCH_2.replace("X_tilde", "Y"))),
    _at("context-not-normalised", (_ATTEND, "answer = mh_attention(X_tilde, X, W.attention, masks.causal)")),
    _at("attention-of-unnormalised norm-missing", (_ATTEND, "answer, state = attend(X, W.attention, state, window)")),
    _at(
        "norms-after",
        (_NORM_1, "X_tilde = X"),
        (_ADD_1, "Y = hp.normalise(X + answer, W.gamma_1, W.beta_1)"),
        (_NORM_2, "X_tilde = Y"),
        (_ADD_2, f"X = hp.normalise(Y + {_MLP}, W.gamma_2, W.beta_2)"),
    ),
    _at(
        "norm-after",
        (_NORM_1, "X_tilde = X"),
        (_ADD_1, "Y = hp.normalise(X + answer, W.gamma_1, W.beta_1)"),
    ),
    _at("residual-missing", (_ADD_1, "Y = answer")),
    _at("residual-missing", (_ADD_2, f"X = {_MLP}")),
    _at("residual-doubled", (_ADD_1, "Y = 2 * X + answer")),
    _at("residual-of-normalised", (_ADD_1, "Y = X_tilde + answer")),
    _at("residual-of-normalised", (_ADD_2, f"X = X_tilde + {_MLP}")),
    _at("residual-subtracted", (_ADD_2, f"X = Y - {_MLP}")),
    _at("residual-averaged", (_ADD_1, "Y = (X + answer) / 2")),
    _at("residual-averaged", (_ADD_2, f"X = (Y + {_MLP}) * 0.5**0.5")),
    _at("attention-missing", (_ADD_1, "Y = X")),
    _at("mlp-missing", (_ADD_2, "X = Y")),
    _at("sublayers-parallel", (_ADD_1, "Y = X"), (_ADD_2, f"X = Y + answer + {_MLP}")),
    _at(
        "sublayers-swapped",
        (_NORM_1, "X_tilde = before(X, W.gamma_2, W.beta_2)"),
        (_ATTEND, f"answer = {_MLP}"),
        (_NORM_2, "X_tilde = before(Y, W.gamma_1, W.beta_1)"),
        (_ADD_2, f"{_ATTEND}\n        X = Y + answer"),
    ),
    _at("norm-parameters-shared", (_NORM_2, "X_tilde = before(Y, W.gamma_1, W.beta_1)")),
    _at(
        "norm-parameters-swapped",
        (_NORM_1, "X_tilde = before(X, W.gamma_2, W.beta_2)"),
        (_NORM_2, "X_tilde = before(Y, W.gamma_1, W.beta_1)"),
    ),
    _at("norm-gamma-beta-swapped", (_NORM_1, _NORM_1.replace("W.gamma_1, W.beta_1", "W.beta_1, W.gamma_1"))),
    _at(
        "layers-share-parameters",
        (_SCAN, _SCAN.replace("params.layers", "jax.tree.map(lambda W: 0 * W + W[:1], params.layers)")),
    ),
    _at("layers-reversed", (_SCAN, f"{_SCAN[:-1]}, reverse=True)")),
    _at(
        "layers-one-short",
        (
            _SCAN,
            _SCAN.replace("params.layers", "jax.tree.map(lambda W: W[1:], params.layers)").replace(", length=L", ""),
        ),
    ),
    _activations("activation-tanh", (_GELU, "return jax.nn.gelu(x)")),
    _activations("activation-tanh", (_GELU, "return jax.nn.gelu(x)"), algorithm=13),
    _activations("activation-relu", (_GELU, "return jax.nn.relu(x)")),
    _activations("activation-saturates", (_GELU, "return jax.numpy.tanh(x)")),
    _mlp("activation-missing", (_ACTIVATED, "pass")),
    _mlp("activation-of-output", (_ACTIVATED, "pass"), (_OUT, f"activation({_OUT})")),
    _mlp("bias-forgotten", (_IN, "affine(X, params.W_in)")),
    _mlp("weight-transposed", (_IN, "X @ params.W_in + params.b_in")),
    _at("unembedding-tied", (_TIED, "return params.W_e")),
    _at("unembedding-scaled", (_LOGITS, f"{_LOGITS} / X.shape[-1] ** 0.5")),
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
