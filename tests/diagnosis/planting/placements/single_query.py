"""Mistakes in Algorithm 3."""

from ..placement import place

_Q = "affine(e[..., None, :], params.W_q, params.b_q)[..., 0, :]"
_K = "affine(context, params.W_k, params.b_k)"
_V = "affine(context, params.W_v, params.b_v)"
_SCORES = "(k @ q[..., None])[..., 0]"
_ROOT = " / root(q.shape[-1], q), axis=-1)"
_ALPHA = f"jax.nn.softmax({_SCORES}{_ROOT}"
_SCALED = f"{_SCORES} / root(q.shape[-1], q)"


def _three(ids, *changes):
    return place(3, "attention.py", ids, *changes)


PLACEMENTS = (
    _three("scale-missing", (_ROOT, ", axis=-1)")),
    _three("scale-inverted", (_ROOT, " * root(q.shape[-1], q), axis=-1)")),
    _three("scale-without-root", (_ROOT, " / q.shape[-1], axis=-1)")),
    _three("scale-by-model-width", (_ROOT, " / jnp.sqrt(e.shape[-1]), axis=-1)")),
    _three("scale-by-value-width", (_ROOT, " / jnp.sqrt(v.shape[-1]), axis=-1)")),
    _three("scale-by-context-length", (_ROOT, " / jnp.sqrt(len(context)), axis=-1)")),
    _three("scale-after-softmax", (_ALPHA, f"jax.nn.softmax({_SCORES}, axis=-1) / root(q.shape[-1], q)")),
    _three("bias-forgotten", (_Q, "affine(e[..., None, :], params.W_q)[..., 0, :]")),
    _three("bias-forgotten", (_V, "context @ params.W_v.T")),
    _three("bias-subtracted", (_V, "context @ params.W_v.T - params.b_v")),
    _three("query-key-swapped", (_Q, "params.W_k @ e + params.b_k"), (_K, "affine(context, params.W_q, params.b_q)")),
    _three("key-value-swapped", (_K, _V), (_V, _K)),
    _three("value-is-key", (_V, "k")),
    _three("softmax-missing", (_ALPHA, _SCALED)),
    _three("softmax-not-normalised", (_ALPHA, f"jnp.exp({_SCALED})")),
    _three("softmax-with-one", (_ALPHA, f"(lambda w: w / (1 + w.sum()))(jnp.exp({_SCALED}))")),
    _three("softmax-sigmoid", (_ALPHA, f"jax.nn.sigmoid({_SCALED})")),
    _three("scores-of-distance", (_SCORES, "-((k - q) ** 2).sum(axis=-1)")),
    _three("weight-transposed", (_V, "context @ params.W_v + params.b_v")),
)
