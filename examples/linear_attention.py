"""A decoder whose memory does not grow: linear attention reads and writes characters with a state of fixed size.

It is trained in parallel, as any decoder, and then runs as a recurrent network: a token takes the same time and memory
whatever stands before it. Here it writes many times the length that it was trained on.

    python examples/linear_attention.py [--quick]
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from formal_tx import DTransformerHyperparameters, init_d_transformer
from formal_tx.data import batches, corpus
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.long_context.linear_transformer import d_linear_extend, d_linear_transformer_logits, empty_states

LENGTH, BATCH, (UPDATES, WRITTEN) = 64, 16, (30, 100) if "--quick" in sys.argv else (2000, 600)
tokenizer = Tokenizer.train("characters", [corpus.english("train")])


def clock(l_max, d_e):
    """A table of positions that repeats itself after 16 tokens, so that no text is too long for it."""
    angle = 2 * np.pi * np.outer(np.arange(l_max), 1 + np.arange(d_e // 2) % 8) / 16
    return 0.2 * np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


hp = DTransformerHyperparameters(l_max=4096, L=2, H=4, d_e=64, d_mlp=256, N_V=tokenizer.N_V, table=clock)


def loss(params, x):
    logits = d_linear_transformer_logits(x[:, :-1], params, hp)
    return optax.softmax_cross_entropy_with_integer_labels(logits, x[:, 1:]).mean()


optimizer = optax.adamw(optax.warmup_cosine_decay_schedule(0, 8e-3, UPDATES // 10, UPDATES))


@jax.jit
def update(params, state, x):
    value, gradient = jax.value_and_grad(loss)(params, x)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state, value


@jax.jit
def write(states, logits, t, key):
    def step(carry, key):
        states, logits, t = carry
        token = jax.random.categorical(key, logits / 0.7)
        logits, states = d_linear_extend(token[None], t, states, params, hp)
        return (states, logits[0], t + 1), token

    return jax.lax.scan(step, (states, logits, t), jax.random.split(key, WRITTEN))


params = init_d_transformer(jax.random.key(0), hp)
state, text = optimizer.init(params), tokenizer.encode(corpus.english("train"))
windows = batches.windows(text, LENGTH + 1, UPDATES * BATCH, np.random.default_rng(0)).reshape(UPDATES, BATCH, -1)
for n, x in enumerate(windows, 1):
    params, state, value = update(params, state, jnp.asarray(x))
    if n % (UPDATES // 5) == 0:
        print(f"{n:5} updates, {value / np.log(2):.2f} bits per character")

tokens = list(tokenizer.encode("In the beginning "))
logits, states = d_linear_extend(np.array(tokens), 0, empty_states(hp), params, hp)
carry = states, logits[-1], jnp.asarray(len(tokens))
write(*carry, jax.random.key(0))  # compiles
for key in jax.random.split(jax.random.key(1), 4):
    before, start = len(tokens), time.perf_counter()
    carry, more = jax.block_until_ready(write(*carry, key))
    microseconds, tokens = 1e6 * (time.perf_counter() - start) / WRITTEN, [*tokens, *more.tolist()]
    numbers, cached = sum(A.size for A in jax.tree.leaves(carry[0])), 2 * hp.L * hp.d_e * len(tokens)
    print(f"tokens {before} to {len(tokens)}: {microseconds:.0f} µs each; {numbers} numbers kept, a cache has {cached}")
print(tokenizer.decode(tokens)[:500])
