"""A Transformer-XL reads the embedded corpus as one long text: how much is what it remembers worth?

It is trained on segments of 32 characters with a memory of 64, and read with others: nothing of the model depends on
how many characters it remembers, because it knows distances alone.

    python examples/transformer_xl.py [--quick]
"""

import math
import sys

import jax
import numpy as np
import optax

from formal_tx.data import corpus
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.long_context.transformer_xl import (
    empty_memory,
    init_transformer_xl,
    transformer_xl_logits,
    xl_hyperparameters,
)
from formal_tx.placement import PRE

SEGMENT, MEMORY, BATCH = 32, 64, 16
UPDATES = 50 if "--quick" in sys.argv else 1500
tokenizer = Tokenizer.train("characters", [corpus.english("train")])
hp = xl_hyperparameters(l_max=SEGMENT, L=2, H=4, d_e=64, d_mlp=256, N_V=tokenizer.N_V, placement=PRE, final_norm=True)
adam = optax.chain(optax.clip_by_global_norm(1), optax.adam(optax.cosine_decay_schedule(4e-3, UPDATES)))


def streams(text, batch, length):
    """So many streams of a text (batch, length + 1), each of them in one piece."""
    ids = tokenizer.encode(text)
    starts = np.linspace(0, len(ids) - length - 1, batch).astype(int)
    return ids[starts[:, None] + np.arange(length + 1)]


def loss(params, x, memory, mem_len):
    """The mean loss of predicting each next character, and the memory after it."""
    options = {"segment": SEGMENT, "mem_len": mem_len}
    logits, memory = transformer_xl_logits(x[:, :-1], params, hp, memory, **options)
    return optax.softmax_cross_entropy_with_integer_labels(logits, x[:, 1:]).mean(), memory


@jax.jit
def train(params, x):
    """θ after one update for each segment of the streams x, the memory going on from segment to segment."""

    def update(state, i):
        params, moments, memory = state
        segment = jax.lax.dynamic_slice_in_dim(x, i * SEGMENT, SEGMENT + 1, axis=1)
        (value, memory), gradient = jax.value_and_grad(loss, has_aux=True)(params, segment, memory, MEMORY)
        change, moments = adam.update(gradient, moments, params)
        return (optax.apply_updates(params, change), moments, memory), value

    start = (params, adam.init(params), empty_memory((BATCH,), hp, MEMORY))
    (params, *_), losses = jax.lax.scan(update, start, jax.numpy.arange(UPDATES))
    return params, losses


params = init_transformer_xl(jax.random.key(0), hp)
params, losses = train(params, streams(corpus.english("train"), BATCH, UPDATES * SEGMENT))
for part in np.array_split(np.asarray(losses), 5):
    print(f"training: {part.mean() / math.log(2):.2f} bits per character")

held_out = streams(corpus.english("validation"), BATCH, 4 * SEGMENT if "--quick" in sys.argv else 64 * SEGMENT)
for mem_len in (0, 16, 32, 64, 128, 256):
    bits = float(loss(params, held_out, None, mem_len)[0]) / math.log(2)
    print(f"held-out books, {mem_len:3} characters remembered: {bits:.3f} bits per character")
