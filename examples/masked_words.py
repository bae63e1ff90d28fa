"""Algorithm 12 trains Algorithm 9 on masked words, and it fills in a blank.

python examples/masked_words.py [--quick]
"""

import sys

import jax
import numpy as np
import optax

from formal_tx import ETransformerHyperparameters, e_training, e_transformer, init_e_transformer
from formal_tx.data import batches, corpus
from formal_tx.data.words import BOS, EOS, MASK, word_tokenizer

BATCH = 16
tokenizer = word_tokenizer(corpus.english("train"), N_V=1024)
bos, eos, mask = (tokenizer.token_to_id(token) for token in (BOS, EOS, MASK))
hp = ETransformerHyperparameters(l_max=32, L=2, H=4, d_e=64, d_mlp=256, N_V=1024, tied_embeddings=True)

verses = tokenizer.encode_batch([verse.english for verse in corpus.verses("train")])
x, lengths = batches.padded([[bos, *verse.ids, eos] for verse in verses], hp.l_max)
updates = 50 if "--quick" in sys.argv else 1000
chosen = np.random.default_rng(0).integers(len(x), size=updates * BATCH)
params, history = e_training(
    x[chosen],
    init_e_transformer(jax.random.key(0), hp),
    hp,
    lengths=lengths[chosen],
    epochs=1,
    optimizer=optax.adam(optax.warmup_cosine_decay_schedule(0, 4e-3, updates // 10, updates)),
    mask_probability=0.2,
    key=jax.random.key(1),
    batch_size=BATCH,
    mean=True,
    history=True,
)
loss = np.asarray(history.loss[0])
print(f"{updates} updates: the loss of a masked word falls from {loss[0]:.2f} to {loss[-20:].mean():.2f} nats\n")

for sentence in (
    "the word of [] came to me, saying",
    "they went up to [], and fought against it",
    "he is the [] of David",
):
    before, after = sentence.split("[]")
    ids = [bos, *tokenizer.encode(before).ids, mask, *tokenizer.encode(after).ids, eos]
    p = np.asarray(e_transformer(np.array(ids), params, hp)[ids.index(mask)])
    print(f"{before}____{after}")
    print("   ", ", ".join(f"{tokenizer.id_to_token(int(i))} {p[i]:.0%}" for i in np.argsort(-p)[:6]))
