"""The logit lens: what a decoder would say next if it ended after each of its layers.

python examples/logit_lens.py [--quick]     # trains the model of train_decoder.py first, a little
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from train_decoder import hp, tokenizer, train

from formal_tx import d_transformer_logits, layer_norm
from formal_tx.linear import affine
from formal_tx.tagging import reap

params = train(updates=50 if "--quick" in sys.argv else 500)
text = "And the LORD said unto Moses, "
x = np.asarray(tokenizer.encode(text))

# The residual stream (L + 1, ℓ, d_e): what enters the first layer (line 3), and what leaves each (line 8).
logits, lines = jax.jit(reap(lambda x: d_transformer_logits(x, params, hp)))(x)
X = jnp.concatenate([lines["3.X"][None], lines["layers/X"]])
P = jax.nn.softmax(affine(layer_norm(X, params.gamma, params.beta, epsilon=hp.epsilon), params.W_u))

print(f"\n{'':8}{'  '.join(text)}")
for layer in range(hp.L + 1):
    guesses = tokenizer.decode(np.argmax(P[layer], axis=-1))
    print(f"layer {layer} {'  '.join(' ' + guesses)}".replace("\n", " ").rstrip())
for layer in range(hp.L + 1):
    right = P[layer, np.arange(len(x) - 1), x[1:]]
    print(f"after {layer} layers the true next character has probability {right.mean():.3f} on average")
assert np.allclose(jax.nn.softmax(logits), P[-1], atol=1e-5)  # the last lens is the model itself
