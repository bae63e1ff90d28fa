"""Sequences and results that are transposed, reshaped, cut or turned round."""

from ..placement import place

_ATTENTION = 'return line(6, "V_tilde", by_groups(A, V))'
_MIXED = 'return line(4, "V_tilde", affine(Y, params.W_o, params.b_o))'
_Q = '    Q = line(1, "Q", '
_D = 'line(11, "P", jax.nn.softmax(d_transformer_logits(x, params, hyperparameters, lengths)))'
_E = 'line(12, "P", jax.nn.softmax(e_transformer_logits(x, params, hyperparameters, lengths)))'
_D_P = "jax.nn.softmax(d_transformer_logits(x, params, hyperparameters, lengths))"
_E_P = "jax.nn.softmax(e_transformer_logits(x, params, hyperparameters, lengths))"

PLACEMENTS = (
    place(4, "attend.py", "output-transposed", (_ATTENTION, "return (A @ V).mT")),
    place(4, "attend.py", "output-reshaped", (_ATTENTION, "return (A @ V).mT.reshape(len(A), -1)")),
    place(
        5, "attention.py", "output-reshaped", (_MIXED, "return affine(Y, params.W_o, params.b_o).T.reshape(len(Y), -1)")
    ),
    place(5, "attention.py", "output-last-only", (_MIXED, "return affine(Y, params.W_o, params.b_o)[-1]")),
    place(4, "attention.py", "input-transposed", (_Q, f"    X = X.T\n{_Q}")),
    place(4, "attention.py", "input-reshaped", (_Q, f"    X = X.reshape(X.shape[::-1]).T\n{_Q}")),
    place(10, "architectures.py", "output-transposed", (_D, f"{_D_P}.T")),
    place(10, "architectures.py", "output-last-only", (_D, f"{_D_P}[-1]")),
    place(9, "architectures.py", "output-reversed", (_E, f"{_E_P}[::-1]")),
    place(9, "architectures.py", "output-reshaped", (_E, f"{_E_P}.T.reshape(len(x), -1)")),
)
