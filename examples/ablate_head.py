"""Ablating heads: how much worse does a decoder get without each of its heads?

python examples/ablate_head.py [--quick]     # trains the model of train_decoder.py first, a little
"""

import math
import sys

import jax
import jax.numpy as jnp
from train_decoder import hp, tokenizer, train

from formal_tx.data import batches, corpus
from formal_tx.losses import d_loss
from formal_tx.tagging import plant

params = train(updates=50 if "--quick" in sys.argv else 500)
held_out = batches.consecutive(tokenizer.encode(corpus.english("validation")), hp.l_max)[:128]


def bits(planted):
    """Bits per character of held-out books, with something planted in the model."""
    loss = plant(lambda x: d_loss(params, x, hp, mean=True), planted)
    return float(jax.jit(loss)(held_out)) / math.log(2)


whole = bits({})
print(f"\nthe whole model: {whole:.3f} bits per character; without")
for layer in range(hp.L):
    for head in range(hp.H):
        worse = bits({f"layers/{layer}/heads/{head}/V_tilde": jnp.zeros_like}) - whole
        print(f"layer {layer + 1}, head {head + 1}: {worse:+.3f} {'#' * round(100 * max(worse, 0))}")
