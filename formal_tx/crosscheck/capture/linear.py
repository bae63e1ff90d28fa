"""The lines that are a product with a matrix: queries, keys, values, the join of the heads, W_f, the logits."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import jax
import jax.numpy as jnp

from ...activations import gelu
from ...architectures import unembedding_matrix
from ...attention import join_heads
from ...linear import affine
from .lines import Alternative, Context, Line, with_another_bias
from .tokenwise import ACTIVATIONS

_AXES = ("q|k|v", "head", "feature")
_QKV = "qkv"


@dataclass(frozen=True)
class Projection(Line):
    """Line 1, 2 or 3 of Algorithm 4: `which` is q, k or v, of the line `of`."""

    of: str
    which: str

    def value(self, c: Context) -> jax.Array:
        return affine(c.before[self.of], *self._parameters(c, self.which))

    def _parameters(self, c: Context, which: str) -> tuple[jax.Array, jax.Array]:
        heads = c.W.attention.heads
        return getattr(heads, f"W_{which}"), getattr(heads, f"b_{which}")

    def alternatives(self, c: Context, theirs: jax.Array) -> Iterator[Alternative]:
        X, (W, b), own = c.before[self.of], self._parameters(c, self.which), self.which
        H, d, d_e = W.shape
        for other in _QKV.replace(own, ""):
            title = f"W_{other} and b_{other} are where W_{own} and b_{own} should be: q, k and v are in another order"
            yield Alternative("fused-order", title, affine(X, *self._parameters(c, other)))
        if H * d == d_e:
            transposed = W.reshape(d_e, d_e).T.reshape(H, d, d_e)
            yield Alternative("weight-transposed", f"W_{own} is transposed", affine(X, transposed, b))
        if d > 1 and H > 1:
            title = f"the rows of W_{own} are interleaved: feature by feature, not head by head"
            rows = [jnp.swapaxes(a, 0, 1).reshape(a.shape) for a in (W, b)]
            yield Alternative("heads-interleaved", title, affine(X, *rows))
            yield from self._fused(c)
        yield Alternative("bias-forgotten", f"the bias b_{own} is forgotten", affine(X, W))
        yield from with_another_bias(self.value(c), theirs, f"b_{own} has other values")

    def _fused(self, c: Context) -> Iterator[Alternative]:
        """One matrix of W_q, W_k and W_v whose rows are in another order than q|k|v, then head, then feature."""
        place = _QKV.index(self.which)
        for order in permutations(_QKV):
            Ws, bs = zip(*(self._parameters(c, which) for which in order), strict=True)
            for axes in permutations(range(3)):
                if axes[0] == 0:
                    continue  # these are the mistakes above
                W, b = (jnp.stack(a) for a in (Ws, bs))
                W, b = W.transpose(*axes, 3).reshape(W.shape)[place], b.transpose(axes).reshape(b.shape)[place]
                names = ", ".join("|".join(order) if axis == 0 else _AXES[axis] for axis in axes)
                title = f"the rows of the fused matrix are ordered by {names}, and read as q|k|v, head, feature"
                yield Alternative("fused-order", title, affine(c.before[self.of], W, b))


@dataclass(frozen=True)
class Joined(Line):
    """Lines 3 and 4 of Algorithm 5."""

    of: str

    def value(self, c: Context) -> jax.Array:
        return join_heads(c.before[self.of], c.W.attention)

    def alternatives(self, c: Context, theirs: jax.Array) -> Iterator[Alternative]:
        Y_h, W = c.before[self.of], c.W.attention
        H, _, d = Y_h.shape
        if W.W_o.shape[0] == W.W_o.shape[1]:
            yield Alternative("weight-transposed", "W_o is transposed", join_heads(Y_h, W.replace(W_o=W.W_o.T)))
        columns = jnp.swapaxes(W.W_o.reshape(-1, H, d), 1, 2).reshape(W.W_o.shape)
        title = "the columns of W_o are interleaved: feature by feature, not head by head"
        yield Alternative("heads-interleaved", title, join_heads(Y_h, W.replace(W_o=columns)))
        yield Alternative("bias-forgotten", "the bias b_o is forgotten", join_heads(Y_h, W.replace(b_o=0 * W.b_o)))
        yield from with_another_bias(self.value(c), theirs, "b_o has other values")


@dataclass(frozen=True)
class Hidden(Line):
    """Line 10 of Algorithm 9."""

    def value(self, c: Context) -> jax.Array:
        return gelu(affine(c.before["X"], c.W.W_f, c.W.b_f))

    def alternatives(self, c: Context, theirs: jax.Array) -> Iterator[Alternative]:
        del theirs
        X, W, b = c.before["X"], c.W.W_f, c.W.b_f
        for mistake, (title, activation) in ACTIVATIONS.items():
            yield Alternative(mistake, title, activation(affine(X, W, b)))
        if W.shape[0] == W.shape[1]:
            yield Alternative("weight-transposed", "W_f is transposed", gelu(affine(X, W.T, b)))
        yield Alternative("bias-forgotten", "the bias b_f is forgotten", gelu(affine(X, W)))


@dataclass(frozen=True)
class Logits(Line):
    """W_u times the line `of`, before the softmax."""

    of: str

    def value(self, c: Context) -> jax.Array:
        return affine(c.before[self.of], unembedding_matrix(c.W))

    def alternatives(self, c: Context, theirs: jax.Array) -> Iterator[Alternative]:
        X, W_u = c.before[self.of], unembedding_matrix(c.W)
        title = "the token embedding is used to unembed, and W_u is not"
        yield Alternative("unembedding-tied", title, affine(X, c.W.W_e))
        if W_u.shape[0] == W_u.shape[1]:
            yield Alternative("weight-transposed", "W_u is transposed", affine(X, W_u.T))
        root = W_u.shape[1] ** 0.5
        for title, factor in (("divided", 1 / root), ("multiplied", root)):
            yield Alternative("unembedding-scaled", f"the logits are {title} by √d_e", factor * self.value(c))
        title = "a bias is added to the logits, which the paper does not have"
        yield from with_another_bias(self.value(c), theirs, title, "unembedding-bias")
