"""Mistakes in Algorithm 8: two stacks of layers, two sequences, two attentions."""

from ..placement import place

_RELU = "return jax.nn.relu(x)"
_ENC_READ_1 = "before(Z, W.gamma_1, W.beta_1)"
_ENC_ADD = 'Z = line(5, "Z", Z + drop(5, branch(answer, W.branch_1)))'
_ENC_NORM_1 = 'Z = line(6, "Z", after(Z, W.gamma_1, W.beta_1))'
_ENC_READ_2 = "before(Z, W.gamma_2, W.beta_2)"
_ENC_MLP = "mlp(Z_tilde, W.mlp, activation, inner)"
_ENC_NORM_2 = 'Z = line(8, "Z", after(Z, W.gamma_2, W.beta_2))'
_Z_1, _Z_2 = (f"hp.normalise(Z, W.gamma_{i}, W.beta_{i})" for i in (1, 2))
_SELF = "        answer, state = attend(before(X, W.gamma_3, W.beta_3), W.self_attention, state, window)\n"
_SELF_ADD = '        X = line(14, "X", X + drop(14, branch(answer, W.branch_3)))\n'
_SELF_NORM = '        X = line(15, "X", after(X, W.gamma_3, W.beta_3))\n'
_CROSS = (
    "        answer, cross_state = cross_attend(before(X, W.gamma_4, W.beta_4), W.cross_attention, cross_state, None)\n"
)
_CROSS_ADD = '        X = line(16, "X", X + drop(16, branch(answer, W.branch_4)))\n'
_CROSS_NORM = '        X = line(17, "X", after(X, W.gamma_4, W.beta_4))\n'
_DEC_ADD = 'X = line(18, "X", X + drop(18, branch(mlp(X_tilde, W.mlp, activation, inner), W.branch_5)))'
_LAST = 'X = line(19, "X", after(X, W.gamma_5, W.beta_5))'
_CROSS_ATTENTION = "return mh_attention(X, Z, W, see, hyperparameters.cross_attending), state"
_ENCODE = "Z = encode(z, params, hyperparameters, z_lengths, practice)"
_DECODE = "decode(x, params, hyperparameters, attend, cross_attend, x_lengths, practice=practice)"
_P = "jax.nn.softmax(ed_transformer_logits(z, x, params, hyperparameters, z_lengths, x_lengths))"
_LOGITS = "logits = affine(X, unembedding_matrix(params), params.b_u)"
_ROWS = "X = rows(W_e, x)\n"
_SUM = "X = X + aligned(W_p[..., :length, :], X)"
_ENC_SCAN = "Z, (params.encoder, hp.windows_of(L), drop.by_layer(L)), length=L)"
_DEC_SCAN = (
    "(params.decoder, states, hp.windows_of(L), drop.by_layer(L, stack=1))\n"
    "    X, states = lax.scan(practice.layer(layer), X, of_layers, length=L)"
)


def _at(ids, *changes, algorithm=8):
    return place(algorithm, "architectures.py", ids, *changes)


def _activations(ids, *changes):
    return place(8, "activations.py", ids, *changes)


def _embedding(ids, *changes):
    return place(8, "embedding.py", ids, *changes)


PLACEMENTS = (
    _at("context-ignored", (_CROSS_ATTENTION, "return mh_attention(X, X, W, masks.full), state")),
    _at("context-ignored", (_CROSS_ATTENTION, "return mh_attention(X, X, W, masks.full), state"), algorithm=15),
    _at("query-of-context", (_CROSS_ATTENTION, "return mh_attention(Z, X, W, masks.full), state")),
    _at(
        "attention-parameters-swapped",
        (_SELF, _SELF.replace("W.self_attention", "W.cross_attention")),
        (_CROSS, _CROSS.replace("W.cross_attention", "W.self_attention")),
    ),
    _at(
        "cross-before-self",
        (
            _SELF + _SELF_ADD + _SELF_NORM + _CROSS + _CROSS_ADD + _CROSS_NORM,
            _CROSS + _CROSS_ADD + _CROSS_NORM + _SELF + _SELF_ADD + _SELF_NORM,
        ),
    ),
    _at("sequences-swapped", (_ENCODE, _ENCODE.replace("(z", "(x")), (_DECODE, _DECODE.replace("(x", "(z"))),
    _at(
        "sequences-swapped",
        (_ENCODE, _ENCODE.replace("(z", "(x")),
        (_DECODE, _DECODE.replace("(x", "(z")),
        algorithm=15,
    ),
    _at("positions-continue", (_DECODE, f"{_DECODE[:-1]}, positions=z.shape[-1] + jnp.arange(x.shape[-1]))")),
    _at("residual-missing", (_CROSS_ADD, "        X = answer\n")),
    _at("residual-doubled", (_ENC_ADD, "Z = Z + Z + answer")),
    _at("residual-subtracted", (_SELF_ADD, "        X = X - answer\n")),
    _at("attention-missing", (_CROSS_ADD, "")),
    _at("attention-missing", (_SELF_ADD, "")),
    _at("mlp-missing", (_DEC_ADD, "")),
    _at("norm-missing", (_CROSS_NORM, "")),
    _at("norm-missing", (_LAST, "")),
    _at("norm-missing", (_LAST, ""), algorithm=11),
    _at("norm-parameters-shared", (_CROSS_NORM, _CROSS_NORM.replace("_4", "_3"))),
    _at(
        "norms-before",
        (_ENC_READ_1, _Z_1),
        (_ENC_NORM_1, ""),
        (_ENC_READ_2, _Z_2),
        (_ENC_NORM_2, ""),
    ),
    _at("norm-before", (_ENC_READ_2, _Z_2), (_ENC_NORM_2, "")),
    _activations("activation-gelu", (_RELU, "return jax.nn.gelu(x, approximate=False)")),
    _activations("activation-gelu", (_RELU, "return jax.nn.gelu(x)")),
    _activations("activation-saturates", (_RELU, "return jax.nn.sigmoid(x)")),
    _activations("activation-silu", (_RELU, "return jax.nn.silu(x)")),
    _at("activation-missing", (_DEC_ADD, _DEC_ADD.replace("activation", "lambda x: x"))),
    _at("activation-missing", (_ENC_MLP, _ENC_MLP.replace("activation", "lambda x: x"))),
    _at("activation-of-output", (_ENC_MLP, "activation(mlp(Z_tilde, W.mlp, lambda x: x, inner))")),
    _at("bias-forgotten", (_DEC_ADD, _DEC_ADD.replace("W.mlp", "W.mlp._replace(b_out=None)"))),
    _at("unembedding-scaled", (_LOGITS, _LOGITS.replace("= ", "= X.shape[-1] ** 0.5 * "))),
    _at("unembedding-tied", (_LOGITS, _LOGITS.replace("unembedding_matrix(params)", "params.W_e"))),
    _at("probabilities-logarithmic", (_P, _P.replace("softmax", "log_softmax"))),
    _at("output-last-only", (f'line(21, "P", {_P})', f"{_P}[-1]")),
    _at(
        "layers-one-short",
        (_ENC_SCAN, "Z, (jax.tree.map(lambda W: W[:-1], params.encoder), hp.windows_of(L), drop.by_layer(L)))"),
    ),
    _at("layers-reversed", (_DEC_SCAN, f"{_DEC_SCAN[:-1]}, reverse=True)")),
    _embedding("embedding-scaled", (_ROWS, "X = rows(W_e, x) * W_e.shape[-1] ** 0.5\n")),
    _embedding("position-missing", (_SUM, "pass")),
    _embedding("position-off-by-one", (_SUM, "X = X + W_p[1 : length + 1]")),
)
