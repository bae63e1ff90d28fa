"""Mistakes with hierarchical attention: the gates of the unit, which end it reads from, padding, what is weighted."""

from ...mistakes import Rewrite, mistake

_CELL, _GRU, _BOTH = ("gru_cell",), ("gru",), ("bidirectional_gru",)
_WEIGHTS, _POOLING, _WHOLE = ("attention_weights",), ("attention_pooling",), ("hierarchical_attention",)
_BACKWARD = "gru(X[:, ::-1], real[::-1], W.backward)[:, ::-1]"
_DISTRIBUTION = "softmax(e) if real.any() else zeros(len(e))"

MISTAKES = (
    mistake(
        "hierarchical-gate-flipped",
        "z keeps the new state, not the old one: the paper's form, with PyTorch's weights",
        ("(1 - z) * n + z * s", "(1 - z) * s + z * n"),
        functions=_CELL,
    ),
    mistake(
        "hierarchical-gates-swapped",
        "z and r have each other's weights: PyTorch stacks r, z, n",
        (
            Rewrite("sigmoid(W.W_z @ x + W.U_z @ s + W.b_z)", "sigmoid(W.W_r @ x + W.U_r @ s + W.b_r)"),
            Rewrite("sigmoid(W.W_r @ x + W.U_r @ s + W.b_r)", "sigmoid(W.W_z @ x + W.U_z @ s + W.b_z)"),
        ),
        together=True,
        functions=_CELL,
    ),
    mistake(
        "hierarchical-reset-before-product",
        "r resets the state before the product with U_n, not the product",
        ("r * (W.U_n @ s + W.c_n)", "W.U_n @ (r * s) + W.c_n"),
        functions=_CELL,
    ),
    mistake(
        "hierarchical-bias-not-reset",
        "the second bias of n is outside of what r resets",
        ("r * (W.U_n @ s + W.c_n)", "r * (W.U_n @ s) + W.c_n"),
        functions=_CELL,
    ),
    mistake(
        "hierarchical-padding-read",
        "the unit reads padding: from the end it begins with it",
        ("gru_cell(X[:, t], s, W) if real[t] else s", "gru_cell(X[:, t], s, W)"),
        functions=_GRU,
    ),
    mistake(
        "hierarchical-padding-resets",
        "padding sets the state to 0, where it should leave it",
        ("gru_cell(X[:, t], s, W) if real[t] else s", "gru_cell(X[:, t], s, W) if real[t] else 0 * s"),
        functions=_GRU,
    ),
    mistake(
        "hierarchical-not-turned-back",
        "the states of the unit that reads from the end stand in the order in which it read",
        (_BACKWARD, "gru(X[:, ::-1], real[::-1], W.backward)"),
        functions=_BOTH,
    ),
    mistake(
        "hierarchical-one-direction",
        "both units read from the beginning",
        (_BACKWARD, "gru(X, real, W.backward)"),
        functions=_BOTH,
    ),
    mistake(
        "hierarchical-directions-swapped",
        "the unit that reads from the end stands first",
        ("concatenate([S_forward, S_backward])", "concatenate([S_backward, S_forward])"),
        functions=_BOTH,
    ),
    mistake(
        "hierarchical-padding-weighted",
        "padding takes part in the softmax",
        ("where(real, W.u @ U, -inf)", "W.u @ U"),
        functions=_WEIGHTS,
    ),
    mistake(
        "hierarchical-nothing-divided-by-nothing",
        "the weights of a sentence without a word are 0/0",
        (_DISTRIBUTION, "softmax(e)"),
        functions=_WEIGHTS,
    ),
    mistake(
        "hierarchical-empty-averaged",
        "a sentence without a word is the mean of its padding",
        (_DISTRIBUTION, "softmax(e if real.any() else zeros(len(e)))"),
        functions=_WEIGHTS,
    ),
    mistake(
        "hierarchical-no-tanh",
        "the states are projected without a tanh",
        ("tanh(W.W @ H + W.b[:, None])", "W.W @ H + W.b[:, None]"),
        functions=_WEIGHTS,
    ),
    mistake(
        "hierarchical-scores-scaled",
        "the scores are divided by √a, as those of a transformer's attention",
        ("W.u @ U", "W.u @ U / sqrt(len(W.u))"),
        functions=_WEIGHTS,
    ),
    mistake(
        "hierarchical-projection-weighted",
        "what is weighted are the projected states, and not the states",
        ("tanh(W.W @ H + W.b[:, None]) if projected else H", "tanh(W.W @ H + W.b[:, None])"),
        functions=_POOLING,
    ),
    mistake(
        "hierarchical-mean",
        "all words matter the same: the mean in place of attention",
        ("V @ alpha", "V @ (real / max(real.sum(), 1))"),
        functions=_POOLING,
    ),
    mistake(
        "hierarchical-last-state",
        "a sentence is what has been read at its end, and nothing asks which words matter",
        ("attention_pooling(H_i, real[i], theta.word_attention, projected)", "H_i[:, -1]"),
        functions=_WHOLE,
    ),
    mistake(
        "hierarchical-empty-sentences-read",
        "sentences without a word count as sentences",
        ("array([words.any() for words in real])", "array([True for words in real])"),
        functions=_WHOLE,
    ),
)
