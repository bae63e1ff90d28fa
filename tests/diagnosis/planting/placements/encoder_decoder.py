"""Mistakes in Algorithm 8: two stacks of layers, two sequences, two attentions."""

from ..placement import place

_RELU = "return jax.nn.relu(x)"
_ENC_MLP = "affine(relu(affine(Z, W.W_mlp1, W.b_mlp1)), W.W_mlp2, W.b_mlp2)"
_ENC_ADD = 'Z = line(5, "Z", Z + drop(5, mh_attention(Z, Z, W.attention, mask)))'
_ENC_NORM_1 = 'Z = line(6, "Z", layer_norm(Z, W.gamma_1, W.beta_1, epsilon=epsilon))'
_ENC_ADD_2 = f'Z = line(7, "Z", Z + drop(7, {_ENC_MLP}))'
_ENC_NORM_2 = 'Z = line(8, "Z", layer_norm(Z, W.gamma_2, W.beta_2, epsilon=epsilon))'
_Z_1, _Z_2 = (f"layer_norm(Z, W.gamma_{i}, W.beta_{i}, epsilon=epsilon)" for i in (1, 2))
_SELF = "        answer, state = attend(X, W.self_attention, state)\n"
_SELF_ADD = '        X = line(14, "X", X + drop(14, answer))\n'
_SELF_NORM = '        X = line(15, "X", layer_norm(X, W.gamma_3, W.beta_3, epsilon=epsilon))\n'
_CROSS = "        answer, cross_state = cross_attend(X, W.cross_attention, cross_state)\n"
_CROSS_ADD = '        X = line(16, "X", X + drop(16, answer))\n'
_CROSS_NORM = '        X = line(17, "X", layer_norm(X, W.gamma_4, W.beta_4, epsilon=epsilon))\n'
_DEC_MLP = "affine(relu(affine(X, W.W_mlp3, W.b_mlp3)), W.W_mlp4, W.b_mlp4)"
_DEC_ADD = f'X = line(18, "X", X + drop(18, {_DEC_MLP}))'
_LAST = 'X = line(19, "X", layer_norm(X, W.gamma_5, W.beta_5, epsilon=epsilon))'
_CROSS_ATTENTION = "return mh_attention(X, Z, W, see), state"
_ENCODE = "Z = encode(z, theta, hyperparameters, z_lengths, practice)"
_DECODE = "decode(x, theta, hyperparameters, attend, cross_attend, x_lengths, practice=practice)"
_P = "jax.nn.softmax(ed_transformer_logits(z, x, params, hyperparameters, z_lengths, x_lengths))"
_LOGITS = (
    "X, states = lax.scan(practice.layer(layer), X, (params.decoder, states, drop))\n"
    "    return affine(X, unembedding_matrix(params))"
)
_ROWS = "X = rows(W_e, x)\n"
_SUM = "X = X + aligned(W_p[..., :length, :], X)"
_ENC_SCAN = "Z, (params.encoder, drop.by_layer"
_DEC_SCAN = "X, (params.decoder, states, drop))"


def _at(ids, *changes, algorithm=8):
    return place(algorithm, "architectures.py", ids, *changes)


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
    _at("residual-doubled", (_ENC_ADD, "Z = Z + Z + mh_attention(Z, Z, W.attention, mask)")),
    _at("residual-subtracted", (_SELF_ADD, "        X = X - answer\n")),
    _at("attention-missing", (_CROSS_ADD, "")),
    _at("attention-missing", (_SELF_ADD, "")),
    _at("mlp-missing", (_DEC_ADD, "")),
    _at("norm-missing", (_CROSS_NORM, "")),
    _at("norm-missing", (_LAST, "")),
    _at("norm-missing", (_LAST, ""), algorithm=11),
    _at("norm-parameters-shared", (_CROSS_NORM, _CROSS_NORM.replace("gamma_4", "gamma_3").replace("beta_4", "beta_3"))),
    _at(
        "norms-before",
        (_ENC_ADD, f"Z = Z + mh_attention({_Z_1}, {_Z_1}, W.attention, mask)"),
        (_ENC_NORM_1, ""),
        (_ENC_ADD_2, f"Z = Z + {_ENC_MLP.replace('affine(Z,', f'affine({_Z_2},')}"),
        (_ENC_NORM_2, ""),
    ),
    _at("norm-before", (_ENC_ADD_2, f"Z = Z + {_ENC_MLP.replace('affine(Z,', f'affine({_Z_2},')}"), (_ENC_NORM_2, "")),
    _at("activation-gelu", (_RELU, "return jax.nn.gelu(x, approximate=False)")),
    _at("activation-gelu", (_RELU, "return jax.nn.gelu(x)")),
    _at("activation-saturates", (_RELU, "return jax.nn.sigmoid(x)")),
    _at("activation-silu", (_RELU, "return jax.nn.silu(x)")),
    _at("activation-missing", (_DEC_MLP, _DEC_MLP.replace("relu", ""))),
    _at("activation-missing", (_ENC_MLP, _ENC_MLP.replace("relu", ""))),
    _at("activation-of-output", (_ENC_MLP, "relu(affine(affine(Z, W.W_mlp1, W.b_mlp1), W.W_mlp2, W.b_mlp2))")),
    _at("bias-forgotten", (_DEC_MLP, "affine(relu(affine(X, W.W_mlp3, W.b_mlp3)), W.W_mlp4)")),
    _at("unembedding-scaled", (_LOGITS, _LOGITS.replace("return ", "return X.shape[-1] ** 0.5 * "))),
    _at("unembedding-tied", (_LOGITS, _LOGITS.replace("unembedding_matrix(params)", "params.W_e"))),
    _at("probabilities-logarithmic", (_P, _P.replace("softmax", "log_softmax"))),
    _at("output-last-only", (f'line(21, "P", {_P})', f"{_P}[-1]")),
    _at(
        "layers-one-short",
        (_ENC_SCAN, _ENC_SCAN.replace("params.encoder", "jax.tree.map(lambda W: W[:-1], params.encoder)")),
    ),
    _at("layers-reversed", (_DEC_SCAN, f"{_DEC_SCAN[:-1]}, reverse=True)")),
    _embedding("embedding-scaled", (_ROWS, "X = rows(W_e, x) * W_e.shape[-1] ** 0.5\n")),
    _embedding("position-missing", (_SUM, "")),
    _embedding("position-off-by-one", (_SUM, "X = X + W_p[1 : length + 1]")),
)
