"""flax.nnx: while decoding, is_causal=True hides all of the cache but its first token. (law: cache-is-no-cache)"""

import jax
from flax import nnx

attention = nnx.MultiHeadAttention(num_heads=2, in_features=8, decode=False, rngs=nnx.Rngs(0))
X = jax.random.normal(jax.random.key(0), (1, 4, 8))
whole = attention(X, is_causal=True)[0]
for is_causal in (False, True):
    attention.init_cache(X.shape)
    steps = [attention(X[:, t : t + 1], decode=True, is_causal=is_causal)[0, 0] for t in range(4)]
    wrong = [t for t, answer in enumerate(steps) if abs(answer - whole[t]).max() > 1e-3]
    print(f"is_causal={is_causal} while decoding: the answers to tokens {wrong} differ")
