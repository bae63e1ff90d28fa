"""The same model in Flax, as a tutorial would write it: (batch, ℓ, d), flax.nnx's own layers, one after the other."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx


class Block(nnx.Module):
    """A layer: norms before attention and MLP."""

    def __init__(self, d: int, H: int, rngs: nnx.Rngs) -> None:
        self.norm_1, self.norm_2 = (nnx.LayerNorm(d, epsilon=1e-5, rngs=rngs) for _ in range(2))
        self.attention = nnx.MultiHeadAttention(num_heads=H, in_features=d, decode=False, rngs=rngs)
        self.linear_1, self.linear_2 = nnx.Linear(d, 4 * d, rngs=rngs), nnx.Linear(4 * d, d, rngs=rngs)

    def __call__(self, X: jax.Array, mask: jax.Array) -> jax.Array:
        X = X + self.attention(self.norm_1(X), mask=mask)
        return X + self.linear_2(nnx.gelu(self.linear_1(self.norm_2(X)), approximate=False))


class GPT(nnx.Module):
    """Logits of the next token; the unembedding is the embedding."""

    def __init__(self, L: int, H: int, d: int, l_max: int, N_V: int, rngs: nnx.Rngs) -> None:
        self.tokens, self.positions = nnx.Embed(N_V, d, rngs=rngs), nnx.Embed(l_max, d, rngs=rngs)
        self.blocks = nnx.List([Block(d, H, rngs) for _ in range(L)])
        self.norm = nnx.LayerNorm(d, epsilon=1e-5, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        X = self.tokens(x) + self.positions(jnp.arange(x.shape[1]))[None]
        mask = nnx.make_causal_mask(x)
        for block in self.blocks:
            X = block(X, mask)
        return self.tokens.attend(self.norm(X))


def loss(model: GPT, x: jax.Array) -> jax.Array:
    """The mean - log p of each token of `x` (batch, ℓ) after the first."""
    logits = model(x)[:, :-1]
    return optax.softmax_cross_entropy_with_integer_labels(logits, x[:, 1:]).mean()
