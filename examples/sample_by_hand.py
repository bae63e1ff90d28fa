"""Sampling from the pure functions: your own loop instead of Algorithm 14's, one token and one step at a time.

python examples/sample_by_hand.py            # trains the model of train_decoder.py first, a little
python examples/sample_by_hand.py --quick
"""

import sys

import jax
import numpy as np
from train_decoder import hp, tokenizer, train

from formal_tx.inference import filters
from formal_tx.inference.decoding import d_prefill, d_step


def sample(params, prompt, *, length, chosen, key):
    """`length` more characters, each drawn from what the filters leave."""
    x = tokenizer.encode(prompt)
    cache = d_prefill(np.asarray(x), params, hp)  # what the prompt has computed, for every layer and position
    for t in range(len(x), len(x) + length):
        logits, cache = d_step(x[-1], t - 1, cache, params, hp)
        logits = chosen(logits, np.isin(np.arange(hp.N_V), x))
        x = [*x, int(jax.random.categorical(jax.random.fold_in(key, t), logits))]
    return tokenizer.decode(x)


params = train(updates=50 if "--quick" in sys.argv else 300)
for name, chosen in {
    "temperature 0.01, top  1": filters.compose(filters.temperature(0.01), filters.top_k(1)),
    "temperature 0.7, top 5": filters.compose(filters.temperature(0.7), filters.top_k(5)),
    "top 90 %, less of the same": filters.compose(filters.repetition_penalty(1.3), filters.top_p(0.9)),
    "as printed": filters.temperature(1.0),
}.items():
    print(f"{name}: {sample(params, 'And he ', length=41, chosen=chosen, key=jax.random.key(0))!r}")
