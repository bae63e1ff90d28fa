"""Sampling from the pure functions: your own loop, temperature and top-k instead of Algorithm 14's.

python examples/sample_by_hand.py            # trains the model of train_decoder.py first, a little
python examples/sample_by_hand.py --quick
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from train_decoder import hp, tokenizer, train

from formal_tx import d_transformer_logits


def sample(params, prompt, *, length, temperature, top_k, key):
    """`length` more characters, each drawn from the `top_k` likeliest."""
    x = np.zeros(hp.l_max, np.int32)  # one shape, one compilation: what stands after the text is not looked at
    x[: len(prompt)] = tokenizer.encode(prompt)
    for t in range(len(prompt), len(prompt) + length):
        logits = d_transformer_logits(x, params, hp, jnp.asarray(t))[t - 1]
        least = jax.lax.top_k(logits, top_k)[0][-1]
        logits = jnp.where(logits >= least, logits, -jnp.inf)
        x[t] = jax.random.categorical(jax.random.fold_in(key, t), logits / temperature)
    return tokenizer.decode(x[: len(prompt) + length])


params = train(updates=50 if "--quick" in sys.argv else 300)
for temperature, top_k in ((0.01, 1), (0.7, 5), (1.0, hp.N_V), (2.0, hp.N_V)):
    text = sample(params, "And he ", length=41, temperature=temperature, top_k=top_k, key=jax.random.key(0))
    print(f"temperature {temperature}, top {top_k:2}: {text!r}")
