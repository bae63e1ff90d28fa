"""Sparse attention: which tokens each pattern lets a letter see, and what that costs on the text of the Bible.

A decoder of two layers learns English letter by letter, with full attention and with patterns of a few keys each. It
prints the patterns as pictures, how many pairs of a longer text each looks at, and the loss on held-out books.

    python examples/sparse_attention.py [--quick]
"""

import math
import sys

import jax
import numpy as np
import optax

from formal_tx import DTransformerHyperparameters, init_d_transformer, masks
from formal_tx.architectures import d_layers, logits_of, self_attend
from formal_tx.data import batches, corpus
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.long_context.sparse_attention import bigbird, fixed, global_tokens, local, random_blocks, strided

QUICK = "--quick" in sys.argv
LENGTH, BATCH, UPDATES = 64, 16, 10 if QUICK else 800
tokenizer = Tokenizer.train("characters", [corpus.english("train")])
hp = DTransformerHyperparameters(l_max=LENGTH, L=2, H=4, d_e=64, d_mlp=128, N_V=tokenizer.N_V)


def patterns(length, unit):
    """Masks of about √ℓ keys for each token; those of encoders also look ahead."""
    random = random_blocks(jax.random.key(0), length // unit, 1)
    decoders = {"local": local(unit), "strided": strided(unit, unit), "fixed": fixed(unit)}
    encoders = {"global": global_tokens(unit // 2, [0], length), "bigbird": bigbird(length, unit, random)}
    return decoders, encoders


decoders, encoders = patterns(32, 4)
pictures = {name: np.where(masks.dense(mask, 32, 32)[::2], "#", ".") for name, mask in (decoders | encoders).items()}
for names in (("local", "strided", "fixed"), ("global", "bigbird")):
    print("  ".join(f"{name:32}" for name in names))
    print("\n".join("  ".join("".join(pictures[name][i]) for name in names) for i in range(16)), "\n")

decoders, encoders = patterns(1024, 32)
for name, mask in (decoders | encoders).items():
    pairs = int(masks.dense(mask, 1024, 1024).sum())
    print(f"  {name:8} {pairs:8,} pairs of 1,024 tokens, {pairs / 1024**2:6.1%} of all")

ids = {part: tokenizer.encode(corpus.english(part)) for part in ("train", "validation")}
x = batches.windows(ids["train"], LENGTH, UPDATES * BATCH, np.random.default_rng(0)).reshape(UPDATES, BATCH, LENGTH)
held_out = batches.consecutive(ids["validation"], LENGTH)[:128]
schedule = optax.warmup_cosine_decay_schedule(0, 5e-3, UPDATES // 10, UPDATES)
optimizer = optax.chain(optax.clip_by_global_norm(1), optax.adam(schedule))


def loss(params, x, mask):
    """Algorithm 10 with this mask in every layer: bits per letter."""
    logits = logits_of(d_layers(x, params, hp, self_attend(mask))[0], params, hp)
    return optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], x[:, 1:]).mean() / math.log(2)


@jax.jit
def train(params, x, mask):
    def update(state, x):
        params, moments = state
        changes, moments = optimizer.update(jax.grad(loss)(params, x, mask), moments)
        return (optax.apply_updates(params, changes), moments), None

    return jax.lax.scan(update, (params, optimizer.init(params)), x)[0][0]


print(f"\nbits per letter after {UPDATES} updates, {LENGTH} letters at a time:")
for name, mask in {"all before": masks.causal, **patterns(LENGTH, 8)[0]}.items():
    params = train(init_d_transformer(jax.random.key(0), hp), x, mask)
    print(f"  {name:10} {jax.jit(loss)(params, held_out, mask):.3f}")
