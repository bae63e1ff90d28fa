"""A stream without an end: what is kept of it, and what is said of it, with attention sinks and without.

A decoder learns texts of 32 characters of the corpus. It then reads 8000, one by one, in one program and a cache of 32
rows, whether these are the last 32 characters, or the first 4 and the last 28. A model as small as this one does not
lean on its first tokens yet; what becomes of a larger one is in docs/systems/streaming_llm.md.

    python examples/streaming_llm.py [--quick]
"""

import math
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from formal_tx import DTransformerHyperparameters, d_training, init_d_transformer
from formal_tx.data import batches, corpus
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.long_context.first_and_near_decoder import sighted_cache, sighted_step
from formal_tx.long_context.streaming_llm import streaming_sight
from formal_tx.positional import Rotary

QUICK = "--quick" in sys.argv
LENGTH, BATCH, UPDATES, READ = 32, 32, 50 if QUICK else 1000, 400 if QUICK else 8000
tokenizer = Tokenizer.train("characters", [corpus.english("train")])
hp = DTransformerHyperparameters(
    l_max=LENGTH, L=2, H=4, d_e=64, d_mlp=256, N_V=tokenizer.N_V, table=None, rotate=Rotary()
)

ids = tokenizer.encode(corpus.english("train"))
x = batches.windows(ids, LENGTH, UPDATES * BATCH, np.random.default_rng(0))
adam = optax.adam(optax.cosine_decay_schedule(5e-3, UPDATES))
params = d_training(
    x, init_d_transformer(jax.random.key(0), hp), hp, epochs=1, optimizer=adam, batch_size=BATCH, mean=True
)


@jax.jit
def read(cache, text):
    """The cache after all of a text but its last token, and the bits of every token but the first."""

    def step(cache, pair):
        logits, cache = sighted_step(pair[0], cache, params, hp)
        return cache, -jax.nn.log_softmax(logits)[pair[1]] / math.log(2)

    return jax.lax.scan(step, cache, (text[:-1], text[1:]))


text = jnp.asarray(tokenizer.encode(corpus.english("validation"))[: READ + 1])
for sinks in (0, 4):
    empty = sighted_cache(params, hp, streaming_sight(sinks=sinks, window=LENGTH - sinks))
    jax.block_until_ready(read(empty, text))  # compiled
    start = time.perf_counter()
    cache, bits = jax.block_until_ready(read(empty, text))
    seconds, size = time.perf_counter() - start, sum(leaf.nbytes for leaf in jax.tree.leaves(cache))
    print(f"{sinks} sinks and a window of {LENGTH - sinks}: {READ} characters, {1e6 * seconds / READ:.0f} µs each")
    print(f"  the cache has {size} bytes, before and after")
    for begin in range(0, READ, READ // 4):
        print(f"  characters {begin:>5} to {begin + READ // 4}: {bits[begin : begin + READ // 4].mean():.2f} bits each")
