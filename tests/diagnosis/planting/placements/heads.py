"""Mistakes in Algorithm 5: how heads are stacked and mixed."""

from ..placement import place

_MOVED = "Y = jnp.moveaxis(Y_h, -3, -2)"
_STACKED = 'Y = line(3, "Y", Y.reshape(*Y.shape[:-2], -1))'
_MIXED = "affine(Y, params.W_o, params.b_o)"
_HEADS = "attention(X, Z, params.heads,"
_SHARED = "jax.tree.map(lambda W: jnp.broadcast_to(W[:1], W.shape), params.heads)"
_FIRST = "jnp.broadcast_to(getattr(params.heads, n)[:1], getattr(params.heads, n).shape)"
_MULTI_QUERY = f"params.heads.replace(**{{n: {_FIRST} for n in ('W_k', 'b_k', 'W_v', 'b_v')}})"


def _at(algorithm, ids, *changes):
    return place(algorithm, "attention.py", ids, *changes)


PLACEMENTS = (
    _at(5, "heads-interleaved", (_MOVED, "Y = jnp.moveaxis(Y_h, -3, -1)")),
    _at(9, "heads-interleaved", (_MOVED, "Y = jnp.moveaxis(Y_h, -3, -1)")),
    _at(5, "heads-not-transposed", (_MOVED, "Y = Y_h"), (_STACKED, "Y = Y.reshape(Y.shape[-2], -1)")),
    _at(10, "heads-not-transposed", (_MOVED, "Y = Y_h"), (_STACKED, "Y = Y.reshape(Y.shape[-2], -1)")),
    _at(5, "heads-permuted", (_MOVED, "Y = jnp.moveaxis(Y_h[::-1], -3, -2)")),
    _at(8, "heads-permuted", (_MOVED, "Y = jnp.moveaxis(jnp.roll(Y_h, 1, axis=-3), -3, -2)")),
    _at(5, "heads-share-parameters", (_HEADS, f"attention(X, Z, {_SHARED},")),
    _at(10, "heads-share-parameters", (_HEADS, f"attention(X, Z, {_SHARED},")),
    _at(5, "heads-share-keys-and-values", (_HEADS, f"attention(X, Z, {_MULTI_QUERY},")),
    _at(9, "heads-share-keys-and-values", (_HEADS, f"attention(X, Z, {_MULTI_QUERY},")),
    _at(5, "heads-dropped", (_MOVED, "Y = jnp.moveaxis(Y_h.at[-1].set(0), -3, -2)")),
    _at(5, "heads-dropped", (_MOVED, "Y = jnp.moveaxis(Y_h.at[0].set(0), -3, -2)")),
    _at(5, "heads-averaged", (_MOVED, "Y = jnp.moveaxis(0 * Y_h + Y_h.mean(axis=-3, keepdims=True), -3, -2)")),
    _at(5, "output-projection-missing", (_MIXED, "Y")),
    _at(9, "output-projection-missing", (_MIXED, "Y")),
    _at(10, "output-projection-missing", (_MIXED, "Y + params.b_o")),
    _at(5, "bias-forgotten", (_MIXED, "affine(Y, params.W_o)")),
    _at(9, "bias-forgotten", (_MIXED, "Y @ params.W_o.T")),
    _at(10, "bias-subtracted", (_MIXED, "affine(Y, params.W_o, -params.b_o)")),
    _at(5, "weight-transposed", (_MIXED, "Y @ params.W_o + params.b_o")),
    _at(8, "weight-transposed", (_MIXED, "Y @ params.W_o + params.b_o")),
)
