"""flax.nnx: a token more than the cache has room for replaces the last one, without a word. (law: full-cache)"""

import jax
from flax import nnx

attention = nnx.MultiHeadAttention(num_heads=2, in_features=8, decode=False, rngs=nnx.Rngs(0))
X = jax.random.normal(jax.random.key(0), (1, 5, 8))
attention.init_cache((1, 4, 8))
for t in range(5):
    answer = attention(X[:, t : t + 1], decode=True)[0, 0]
forgotten = attention(X[:, [0, 1, 2, 4]], decode=False)[0, 3]
print("the fifth answer is that to tokens 0, 1, 2 and 4:", bool(abs(answer - forgotten).max() < 1e-5))
