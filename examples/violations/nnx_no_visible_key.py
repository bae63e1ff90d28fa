"""flax.nnx: a query that may attend to nothing gets the mean of all that it may not see. (law: no-visible-key)"""

import jax
from flax import nnx

attention = nnx.MultiHeadAttention(num_heads=2, in_features=8, decode=False, rngs=nnx.Rngs(0))
X, Z = jax.random.normal(jax.random.key(0), (2, 1, 4, 8))
hidden = jax.numpy.zeros((1, 1, 4, 4), bool)
answer, other = attention(X, X, mask=hidden), attention(X, Z, mask=hidden)
print("nothing is visible, and the answer depends on it:", bool(abs(answer - other).max() > 1e-2))
mean = attention.out(attention.value(Z).mean(axis=1, keepdims=True))
print("it is that of the mean value:", bool(abs(other - mean).max() < 1e-5))
