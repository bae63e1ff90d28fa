"""An encoder-decoder learns to spell words backwards: Algorithm 11 trains Algorithm 8, Algorithm 15 predicts.

Translation needs more text and time than an example has. This is the same machinery on a task that a small model
learns in a minute, and whose answer on words it has never seen can be told right or wrong.

    python examples/reverse_words.py [--quick]
"""

import re
import sys

import jax
import numpy as np
import optax

from formal_tx import EDTransformerHyperparameters, ed_inference, ed_training, init_ed_transformer
from formal_tx.data import batches, corpus
from formal_tx.data.tokenizer import Tokenizer

LONGEST, BATCH = 7, 64
tokenizer = Tokenizer.train("characters", ["abcdefghijklmnopqrstuvwxyz"])
bos, eos = tokenizer.bos_token, tokenizer.eos_token
hp = EDTransformerHyperparameters(l_max=LONGEST + 2, L_enc=1, L_dec=1, H=4, d_e=64, d_mlp=128, N_V=tokenizer.N_V)

rng = np.random.default_rng(0)
words = sorted({w for w in re.findall("[a-z]+", corpus.english("train")) if 3 <= len(w) <= LONGEST})
words = list(rng.permutation(words))
held_out, words = words[:200], words[200:]

updates = 50 if "--quick" in sys.argv else 1200
chosen = rng.choice(words, size=updates * BATCH)
z, z_lengths = batches.padded([tokenizer.encode(w) for w in chosen], LONGEST)
x, x_lengths = batches.padded([[bos, *tokenizer.encode(w[::-1]), eos] for w in chosen], LONGEST + 2)

params, history = ed_training(
    z,
    x,
    init_ed_transformer(jax.random.key(0), hp),
    hp,
    epochs=1,
    optimizer=optax.adam(optax.warmup_cosine_decay_schedule(0, 3e-3, updates // 10, updates)),
    z_lengths=z_lengths,
    x_lengths=x_lengths,
    batch_size=BATCH,
    mean=True,
    history=True,
)
print(
    f"{len(words):,} words, {updates} updates of {BATCH}: loss {history.loss[0, 0]:.2f}, then {history.loss[0, -1]:.3f}"
)

z, z_lengths = batches.padded([tokenizer.encode(w) for w in held_out], LONGEST)
x_hat = ed_inference(z, params, hp, temperature=0.01, key=jax.random.key(1), z_lengths=z_lengths)
answers = [tokenizer.decode(one) for one in np.asarray(x_hat)]
right = sum(answer == word[::-1] for word, answer in zip(held_out, answers, strict=True))
for word, answer in list(zip(held_out, answers, strict=True))[:8]:
    print(f"  {word:>{LONGEST}} → {answer:<{LONGEST}} {'' if answer == word[::-1] else 'wrong'}")
print(f"{right} of {len(held_out)} words that were not trained on are spelled backwards correctly")
