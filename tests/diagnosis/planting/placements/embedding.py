"""Mistakes in Algorithms 1, 2 and 7."""

from ..placement import place

_TOKEN = 'return line(1, "e", rows(W_e, v))'
_POSITION = 'return line(1, "e_p", rows(W_p, t))'
_UNEMBED = "jax.nn.softmax(affine(e[..., None, :], W_u)[..., 0, :], axis=-1)"

PLACEMENTS = (
    place(1, "embedding.py", "token-off-by-one", (_TOKEN, "return W_e[v - 1]")),
    place(1, "embedding.py", "token-off-by-one", (_TOKEN, "return rows(W_e, v + 1)")),
    place(1, "embedding.py", "table-transposed", (_TOKEN, "return W_e[:, v]")),
    place(1, "embedding.py", "embedding-scaled", (_TOKEN, "return W_e[v] * jnp.sqrt(W_e.shape[-1])")),
    place(2, "embedding.py", "position-off-by-one", (_POSITION, "return W_p[t + 1]")),
    place(2, "embedding.py", "position-off-by-one", (_POSITION, "return W_p[t - 1]")),
    place(2, "embedding.py", "position-off-by-one", (_POSITION, "return rows(W_p, t - 1)")),
    place(2, "embedding.py", "table-transposed", (_POSITION, "return W_p.T[t]")),
    place(2, "embedding.py", "position-scaled", (_POSITION, "return W_p[t] * W_p.shape[1] ** 0.5")),
    place(2, "embedding.py", "position-of-first", (_POSITION, "return W_p[0]")),
    place(7, "embedding.py", "softmax-missing", (_UNEMBED, "affine(e[..., None, :], W_u)[..., 0, :]")),
    place(7, "embedding.py", "probabilities-logarithmic", (_UNEMBED, "jax.nn.log_softmax(W_u @ e)")),
    place(7, "embedding.py", "unembedding-scaled", (_UNEMBED, "jax.nn.softmax(W_u @ e / jnp.sqrt(e.shape[-1]))")),
    place(7, "embedding.py", "weight-transposed", (_UNEMBED, "jax.nn.softmax(e @ W_u)")),
    place(7, "embedding.py", "softmax-sigmoid", (_UNEMBED, "jax.nn.sigmoid(W_u @ e)")),
    place(7, "embedding.py", "softmax-not-normalised", (_UNEMBED, "jnp.exp(W_u @ e)")),
)
