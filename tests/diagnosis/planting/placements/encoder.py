"""Mistakes in Algorithm 9: embedding, layers, the final projection."""

from ..placement import place

_ADD_1 = 'X = line(5, "X", X + drop(5, mh_attention(X, X, W.attention, mask)))'
_NORM_1 = 'X = line(6, "X", layer_norm(X, W.gamma_1, W.beta_1, epsilon=epsilon))'
_ADD_2 = 'X = line(7, "X", X + drop(7, affine(gelu(affine(X, W.W_mlp1, W.b_mlp1)), W.W_mlp2, W.b_mlp2)))'
_NORM_2 = 'X = line(8, "X", layer_norm(X, W.gamma_2, W.beta_2, epsilon=epsilon))'
_ATTENTION = "mh_attention(X, X, W.attention, mask)"
_MLP = "affine(gelu(affine(X, W.W_mlp1, W.b_mlp1)), W.W_mlp2, W.b_mlp2)"
_LN_1, _LN_2 = (f"layer_norm(X, W.gamma_{i}, W.beta_{i}, epsilon=epsilon)" for i in (1, 2))
_LAYER = f"{_ADD_1}\n        {_NORM_1}\n        {_ADD_2}\n        {_NORM_2}\n"
_SCAN = "lax.scan(practice.layer(layer), X, (params.layers, drop.by_layer(hyperparameters.L)))"
_PROJECTED = 'X = line(10, "X", gelu(affine(X, params.W_f, params.b_f)))'
_LAST = 'X = line(11, "X", layer_norm(X, params.gamma, params.beta, epsilon=epsilon))'
_LOGITS = "return affine(X, unembedding_matrix(params)).astype(dtype)"
_GELU = "return jax.nn.gelu(x, approximate=False)"
_P = "jax.nn.softmax(e_transformer_logits(x, params, hyperparameters, lengths))"
_SUM = "X = X + aligned(W_p[..., :length, :], X)"
_ROWS = "X = rows(W_e, x)\n"


def _at(ids, *changes, algorithm=9):
    return place(algorithm, "architectures.py", ids, *changes)


def _embedding(ids, *changes, algorithm=9):
    return place(algorithm, "embedding.py", ids, *changes)


PLACEMENTS = (
    _at(
        "norms-before",
        (_ADD_1, f"X = X + mh_attention({_LN_1}, {_LN_1}, W.attention, mask)"),
        (_NORM_1, ""),
        (_ADD_2, f"X = X + {_MLP.replace('affine(X,', f'affine({_LN_2},')}"),
        (_NORM_2, ""),
    ),
    _at(
        "norm-before",
        (_ADD_1, f"X = X + mh_attention({_LN_1}, {_LN_1}, W.attention, mask)"),
        (_NORM_1, ""),
    ),
    _at("norm-before-addition", (_ADD_1, f"X = X + {_LN_1.replace('(X', f'({_ATTENTION}')}"), (_NORM_1, "")),
    _at("norm-missing", (_NORM_1, "")),
    _at("norm-missing", (_LAST, "")),
    _at("norm-parameters-swapped", (_NORM_1, f"X = {_LN_2}"), (_NORM_2, f"X = {_LN_1}")),
    _at("norm-parameters-shared", (_NORM_2, f"X = {_LN_1}")),
    _at("residual-missing", (_ADD_1, f"X = {_ATTENTION}")),
    _at("residual-missing", (_ADD_1, f"X = {_ATTENTION}"), algorithm=12),
    _at("residual-doubled", (_ADD_2, f"X = X + X + {_MLP}")),
    _at("residual-subtracted", (_ADD_1, f"X = X - {_ATTENTION}")),
    _at("attention-missing", (_ADD_1, "")),
    _at("mlp-missing", (_ADD_2, "")),
    _at("sublayers-swapped", (_LAYER, f"{_ADD_2}\n        {_NORM_2}\n        {_ADD_1}\n        {_NORM_1}\n")),
    _at(
        "layers-share-parameters",
        (_SCAN, _SCAN.replace("params.layers", "jax.tree.map(lambda W: 0 * W + W[0], params.layers)")),
    ),
    _at("layers-one-short", (_SCAN, _SCAN.replace("params.layers", "jax.tree.map(lambda W: W[:-1], params.layers)"))),
    _at("layers-reversed", (_SCAN, _SCAN.replace("params.layers", "jax.tree.map(lambda W: W[::-1], params.layers)"))),
    _at("activation-sigmoid", (_GELU, "return x * jax.nn.sigmoid(1.702 * x)")),
    _at("activation-silu", (_GELU, "return jax.nn.silu(x)")),
    _at("activation-tanh", (_MLP, _MLP.replace("gelu", "jax.nn.gelu"))),
    _at("activation-relu", (_PROJECTED, "X = relu(affine(X, params.W_f, params.b_f))")),
    _at("activation-saturates", (_PROJECTED, "X = jnp.tanh(affine(X, params.W_f, params.b_f))")),
    _at("activation-missing", (_PROJECTED, "X = affine(X, params.W_f, params.b_f)")),
    _at("bias-forgotten", (_PROJECTED, "X = gelu(affine(X, params.W_f))")),
    _at("bias-subtracted", (_MLP, "affine(gelu(affine(X, W.W_mlp1, W.b_mlp1)), W.W_mlp2, -W.b_mlp2)")),
    _at("weight-transposed", (_PROJECTED, "X = gelu(X @ params.W_f + params.b_f)")),
    _at("unembedding-tied", (_LOGITS, "return affine(X, params.W_e).astype(dtype)")),
    _at("softmax-axis", (_P, f"{_P[:-1]}, axis=-2)")),
    _at("probabilities-logarithmic", (_P, f"jnp.log({_P})")),
    _embedding("embedding-sum-scaled", (_SUM, "X = (X + W_p[:length]) * jnp.sqrt(X.shape[-1])")),
    _embedding("token-off-by-one", (_ROWS, "X = rows(W_e, x + 1)\n")),
    _embedding("position-off-by-one", (_SUM, "X = X + W_p[jnp.arange(length) - 1]")),
    _embedding("position-from-the-end", (_SUM, "X = X + W_p[:length][::-1]")),
    _embedding("position-missing", (_SUM, "")),
    _embedding("position-missing", (_SUM, ""), algorithm=12),
    _embedding("position-multiplied", (_SUM, "X = X * W_p[:length]")),
)
