"""Mistakes with tokens, positions and the way back to the vocabulary."""

from ..mistakes import Rewrite, mistake

MISTAKES = (
    mistake(
        "embedding-scaled",
        "the token's embedding is multiplied by √d_e",
        ("W_e[:, _v]", "W_e[:, _v] * sqrt(len(W_e))"),
    ),
    mistake(
        "embedding-sum-scaled",
        "the sum of token and position is multiplied by √d_e",
        ("W_e[:, _v] + W_p[:, _t]", "(W_e[:, _v] + W_p[:, _t]) * sqrt(len(W_e))"),
    ),
    mistake(
        "token-off-by-one",
        "the ids of the tokens are off by one",
        ("W_e[:, _v]", "W_e[:, _v + 1]"),
        ("W_e[:, _v]", "W_e[:, _v - 1]"),
    ),
    mistake(
        "table-transposed",
        "the table of embeddings is read along the other axis",
        ("W_e[:, _v]", "W_e[_v, :]"),
        ("W_p[:, _t]", "W_p[_t, :]"),
    ),
    mistake(
        "position-off-by-one",
        "the positions are off by one",
        ("W_p[:, _t]", "W_p[:, _t + 1]"),
        ("W_p[:, _t]", "W_p[:, _t - 1]"),
        ("W_p[:, _t]", "W_p[:, max(_t - 1, 0)]"),
    ),
    mistake(
        "position-of-first",
        "all tokens get the embedding of the first position",
        ("W_p[:, _t]", "W_p[:, 0]"),
    ),
    mistake(
        "position-from-the-end",
        "positions are counted from the end of the sequence",
        Rewrite("[W_e[:, _v] + W_p[:, t] for t in range(_l)]", "[W_e[:, _v] + W_p[:, _l - 1 - t] for t in range(_l)]"),
        Rewrite(
            "[W_e[:, _v] + W_p[:, t] for t in range(_l)]",
            "[W_e[:, _v] + W_p[:, W_p.shape[1] - _l + t] for t in range(_l)]",
        ),
    ),
    mistake(
        "position-missing",
        "the positional embedding is missing",
        ("W_e[:, _v] + W_p[:, _t]", "W_e[:, _v]"),
    ),
    mistake(
        "position-scaled",
        "the positional embedding is multiplied by √d_e",
        ("W_p[:, _t]", "W_p[:, _t] * sqrt(len(W_p))"),
    ),
    mistake(
        "position-multiplied",
        "the positional embedding multiplies instead of being added",
        ("W_e[:, _v] + W_p[:, _t]", "W_e[:, _v] * W_p[:, _t]"),
    ),
    mistake(
        "position-in-every-layer",
        "the positional embedding is added in every layer",
        *(
            Rewrite(
                "X_tilde = column_stack([layer_norm(X[:, t], W.gamma_1, _b, epsilon) for t in range(l)])",
                f"X = X + {added}\n"
                "X_tilde = column_stack([layer_norm(X[:, t], W.gamma_1, _b, epsilon) for t in range(l)])",
            )
            for added in ("(W_p[:, :l] if W is not layers[0] else 0)", "W_p[:, :l]")
        ),
    ),
    mistake(
        "sequences-swapped",
        "the two sequences are swapped",
        (
            Rewrite("len(z)", "len(x)"),
            Rewrite("len(x)", "len(z)"),
            Rewrite("z[t]", "x[t]"),
            Rewrite("x[t]", "z[t]"),
        ),
        (Rewrite("ed_transformer(z[n], x[n], theta, epsilon)", "ed_transformer(x[n], z[n], theta, epsilon)"),),
        (
            Rewrite("ed_transformer(z, x_hat, theta_hat, epsilon)", "ed_transformer(x_hat, z, theta_hat, epsilon)"),
            Rewrite("P[:, len(x_hat) - 1]", "P[:, min(len(x_hat), P.shape[1]) - 1]"),
        ),
        together=True,
        functions=("ed_transformer", "ed_training", "ed_inference"),
    ),
    mistake(
        "positions-continue",
        "the second sequence's positions go on where the first sequence's end",
        ("W_e[:, x[t]] + W_p[:, t]", "W_e[:, x[t]] + W_p[:, l_z + t]"),
        functions=("ed_transformer",),
    ),
    mistake(
        "unembedding-tied",
        "the token embedding is used to unembed, and W_u is not",
        ("W_u @ _X", "W_e.T @ _X"),
        functions=("d_transformer", "e_transformer", "ed_transformer"),
    ),
    mistake(
        "unembedding-scaled",
        "the logits are divided or multiplied by √d_e",
        ("softmax(W_u @ _X)", "softmax(W_u @ _X / sqrt(W_u.shape[1]))"),
        ("softmax(W_u @ _X)", "softmax(W_u @ _X * sqrt(W_u.shape[1]))"),
    ),
    mistake(
        "probabilities-logarithmic",
        "the logarithm of the probabilities is returned",
        ("softmax(W_u @ _X)", "log_softmax(W_u @ _X)"),
        ("softmax(W_u @ _X)", "log(softmax(W_u @ _X))"),
    ),
    mistake(
        "sinusoid-swapped",
        "sine and cosine are swapped",
        (Rewrite("sin(_a)", "cos(_a)"), Rewrite("cos(_a)", "sin(_a)")),
        together=True,
        functions=("sinusoidal_positions",),
    ),
    mistake(
        "sinusoid-concatenated",
        "all sines come before all cosines instead of alternating with them",
        (
            Rewrite("W_p[2 * i - 2, t - 1] = _s", "W_p[i - 1, t - 1] = _s"),
            Rewrite("W_p[2 * i - 1, t - 1] = _c", "W_p[d_e // 2 + i - 1, t - 1] = _c"),
        ),
        together=True,
        functions=("sinusoidal_positions",),
    ),
    mistake(
        "sinusoid-base",
        "the wavelengths have another base",
        ("l_max ** _p", "10000 ** _p"),
        together=True,
        functions=("sinusoidal_positions",),
    ),
    mistake(
        "sinusoid-exponent",
        "the exponent has not the factor 2",
        ("2 * i / d_e", "i / d_e"),
        together=True,
        functions=("sinusoidal_positions",),
    ),
    mistake(
        "sinusoid-off-by-one",
        "positions or frequencies are counted from 0",
        ("t / _f", "(t - 1) / _f"),
        ("2 * i / d_e", "2 * (i - 1) / d_e"),
        (Rewrite("t / _f", "(t - 1) / _f"), Rewrite("2 * i / d_e", "2 * (i - 1) / d_e")),
        together=True,
        functions=("sinusoidal_positions",),
    ),
)
