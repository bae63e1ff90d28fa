"""Algorithm 12 trains Algorithm 9 on words some of whose letters are masked, and it fills in the blanks.

An encoder looks at both sides of a blank. BERT's tokens are pieces of words and its texts are pages; here a token is a
letter and a text is a word, which takes seconds instead of days. `formal-tx demo` does it with words in verses.

    python examples/masked_letters.py [--quick]
"""

import re
import sys

import jax
import numpy as np
import optax

from formal_tx import ETransformerHyperparameters, e_training, e_transformer, init_e_transformer
from formal_tx.data import batches, corpus
from formal_tx.data.tokenizer import Tokenizer

LONGEST, BATCH = 10, 128
tokenizer = Tokenizer.train("characters", ["abcdefghijklmnopqrstuvwxyz"])
bos, eos, mask = tokenizer.bos_token, tokenizer.eos_token, tokenizer.mask_token
hp = ETransformerHyperparameters(l_max=LONGEST + 2, L=2, H=4, d_e=64, d_mlp=128, N_V=tokenizer.N_V)

text = [word for word in re.findall("[a-z]+", corpus.english("train").lower()) if 3 <= len(word) <= LONGEST]
updates = 50 if "--quick" in sys.argv else 900
chosen = np.random.default_rng(0).choice(text, size=updates * BATCH)
x, lengths = batches.padded([[bos, *tokenizer.encode(word), eos] for word in chosen], hp.l_max)
params, history = e_training(
    x,
    init_e_transformer(jax.random.key(0), hp),
    hp,
    lengths=lengths,
    epochs=1,
    optimizer=optax.adam(optax.warmup_cosine_decay_schedule(0, 4e-3, updates // 10, updates)),
    mask_probability=0.2,
    key=jax.random.key(1),
    batch_size=BATCH,
    mean=True,
    history=True,
)
loss = np.asarray(history.loss[0])
print(f"{updates} updates: the loss of a masked letter falls from {loss[0]:.2f} to {loss[-20:].mean():.2f} nats\n")

words = ("t_e", "_and", "wor_", "israe_", "spea_", "king_om")
blanks = np.array([1 + word.index("_") for word in words])
x, lengths = batches.padded([[bos, *tokenizer.encode(word.replace("_", "a")), eos] for word in words], hp.l_max)
x[np.arange(len(words)), blanks] = mask
P = np.asarray(e_transformer(x, params, hp, lengths))
for word, p in zip(words, P[np.arange(len(words)), blanks], strict=True):
    guesses = (f"{tokenizer.decode([i], show_special=True)} {p[i]:.0%}" for i in np.argsort(-p)[:4])
    print(f"  {word:<10} {', '.join(guesses)}")
