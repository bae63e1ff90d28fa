"""equinox: a query that may attend to nothing gets the mean of all that it may not see. (law: no-visible-key)"""

import equinox as eqx
import jax

attention = eqx.nn.MultiheadAttention(num_heads=2, query_size=8, key=jax.random.key(0))
X, Z = jax.random.normal(jax.random.key(1), (2, 4, 8))
hidden = jax.numpy.zeros((4, 4), bool)
answer, other = attention(X, X, X, hidden), attention(X, Z, Z, hidden)
print("nothing is visible, and the answer depends on it:", bool(abs(answer - other).max() > 1e-2))
mean = attention.output_proj(jax.vmap(attention.value_proj)(Z).mean(axis=0))
print("it is that of the mean value:", bool(abs(other - mean).max() < 1e-5))
