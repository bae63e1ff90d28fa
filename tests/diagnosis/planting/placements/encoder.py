"""Mistakes in Algorithm 9: embedding, layers, the final projection."""

from ..placement import place

_READ_1 = "X_tilde = before(X, W.gamma_1, W.beta_1)"
_ATTEND = "answer, _ = attend(X_tilde, W.attention, None, window)"
_ADD_1 = 'Y = line(5, "X", X + drop(5, branch(answer, W.branch_1)))'
_NORM_1 = 'Y = line(6, "X", after(Y, W.gamma_1, W.beta_1))'
_READ_2 = "X_tilde = _second_input(hp.placement, before, X_tilde, X, Y, W)"
_MLP = "mlp(X_tilde, W.mlp, activation, inner)"
_ADD_2 = f'X = line(7, "X", Y + drop(7, branch({_MLP}, W.branch_2)))'
_NORM_2 = 'X = line(8, "X", after(X, W.gamma_2, W.beta_2))'
_SCAN = "X, (params.layers, hp.windows_of(L), drop.by_layer(L)), length=L)"
_PROJECTED = 'X = line(10, "X", hp.activation(affine(X, params.W_f, params.b_f)))'
_LAST = 'return line(11, "X", hp.normalise(X, params.gamma, params.beta))'
_LOGITS = "return logits_of(X, params, hp).astype(dtype)"
_GELU = "return 0.5 * x * (1 + jax.lax.erf(x * 2**-0.5))"
_ACTIVATED = "hidden = activation(hidden)"
_OUT_BIAS = "params.W_out, params.b_out)"
_P = "jax.nn.softmax(e_transformer_logits(x, params, hyperparameters, lengths))"
_SUM = "X = X + aligned(W_p[..., :length, :], X)"
_ROWS = "X = rows(W_e, x)\n"


def _at(ids, *changes, algorithm=9):
    return place(algorithm, "architectures.py", ids, *changes)


def _activations(ids, *changes):
    return place(9, "activations.py", ids, *changes)


def _mlp(ids, *changes):
    return place(9, "mlp.py", ids, *changes)


def _embedding(ids, *changes, algorithm=9):
    return place(algorithm, "embedding.py", ids, *changes)


PLACEMENTS = (
    _at(
        "norms-before",
        (_READ_1, "X_tilde = hp.normalise(X, W.gamma_1, W.beta_1)"),
        (_NORM_1, ""),
        (_READ_2, "X_tilde = hp.normalise(Y, W.gamma_2, W.beta_2)"),
        (_NORM_2, ""),
    ),
    _at("norm-before", (_READ_1, "X_tilde = hp.normalise(X, W.gamma_1, W.beta_1)"), (_NORM_1, "")),
    _at("norm-before-addition", (_ADD_1, "Y = X + hp.normalise(answer, W.gamma_1, W.beta_1)"), (_NORM_1, "")),
    _at("norm-missing", (_NORM_1, "")),
    _at("norm-missing", (_LAST, "return X")),
    _at("norm-parameters-swapped", (_NORM_1, _NORM_1.replace("_1", "_2")), (_NORM_2, _NORM_2.replace("_2", "_1"))),
    _at("norm-parameters-shared", (_NORM_2, _NORM_2.replace("_2", "_1"))),
    _at("residual-missing", (_ADD_1, "Y = answer")),
    _at("residual-missing", (_ADD_1, "Y = answer"), algorithm=12),
    _at("residual-doubled", (_ADD_2, f"X = Y + Y + {_MLP}")),
    _at("residual-subtracted", (_ADD_1, "Y = X - answer")),
    _at("attention-missing", (_ADD_1, "Y = X")),
    _at("mlp-missing", (_ADD_2, "X = Y")),
    _at(
        "sublayers-swapped",
        (_ATTEND, f"answer = {_MLP}"),
        (_NORM_1, _NORM_1.replace("_1", "_2")),
        (_ADD_2, f"{_ATTEND}\n        X = Y + answer"),
        (_NORM_2, _NORM_2.replace("_2", "_1")),
    ),
    _at(
        "layers-share-parameters",
        (_SCAN, _SCAN.replace("params.layers", "jax.tree.map(lambda W: 0 * W + W[0], params.layers)")),
    ),
    _at(
        "layers-one-short",
        (
            _SCAN,
            _SCAN.replace("params.layers", "jax.tree.map(lambda W: W[:-1], params.layers)").replace(", length=L", ""),
        ),
    ),
    _at("layers-reversed", (_SCAN, _SCAN.replace("params.layers", "jax.tree.map(lambda W: W[::-1], params.layers)"))),
    _activations("activation-sigmoid", (_GELU, "return x * jax.nn.sigmoid(1.702 * x)")),
    _activations("activation-silu", (_GELU, "return jax.nn.silu(x)")),
    _mlp("activation-tanh", (_ACTIVATED, "hidden = jax.nn.gelu(hidden)")),
    _at("activation-relu", (_PROJECTED, "X = jax.nn.relu(affine(X, params.W_f, params.b_f))")),
    _at("activation-saturates", (_PROJECTED, "X = jnp.tanh(affine(X, params.W_f, params.b_f))")),
    _at("activation-missing", (_PROJECTED, "X = affine(X, params.W_f, params.b_f)")),
    _at("bias-forgotten", (_PROJECTED, "X = hp.activation(affine(X, params.W_f))")),
    _mlp("bias-subtracted", (_OUT_BIAS, "params.W_out, -params.b_out)")),
    _at("weight-transposed", (_PROJECTED, "X = hp.activation(X @ params.W_f + params.b_f)")),
    _at("unembedding-tied", (_LOGITS, "return affine(X, params.W_e).astype(dtype)")),
    _at("softmax-axis", (_P, f"{_P[:-1]}, axis=-2)")),
    _at("probabilities-logarithmic", (_P, f"jnp.log({_P})")),
    _embedding("embedding-sum-scaled", (_SUM, "X = (X + W_p[:length]) * jnp.sqrt(X.shape[-1])")),
    _embedding("token-off-by-one", (_ROWS, "X = rows(W_e, x + 1)\n")),
    _embedding("position-off-by-one", (_SUM, "X = X + W_p[jnp.arange(length) - 1]")),
    _embedding("position-from-the-end", (_SUM, "X = X + W_p[:length][::-1]")),
    _embedding("position-missing", (_SUM, "pass")),
    _embedding("position-missing", (_SUM, "pass"), algorithm=12),
    _embedding("position-multiplied", (_SUM, "X = X * W_p[:length]")),
)
