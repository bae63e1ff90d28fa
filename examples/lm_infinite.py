"""Reading on: a decoder that learned texts of 32 characters reads 512, plainly and with a Λ and a ceiling.

Plain attention meets distances that it never saw, and more tokens than it ever attended to. With LM-Infinite's it sees
the first tokens and the near ones, none of them further away than it knows, and nothing is trained anew.

    python examples/lm_infinite.py [--quick]
"""

import math
import sys
from dataclasses import replace

import jax
import numpy as np
import optax

from formal_tx import DTransformerHyperparameters, d_training, d_transformer_logits, init_d_transformer
from formal_tx.data import batches, corpus
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.long_context.first_and_near_decoder import sighted_logits
from formal_tx.long_context.lm_infinite import lambda_sight
from formal_tx.positional import Rotary

QUICK = "--quick" in sys.argv
LENGTH, BATCH, UPDATES, READ, TEXTS = 32, 32, 50 if QUICK else 1500, 512, 4 if QUICK else 32
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

x = batches.consecutive(tokenizer.encode(corpus.english("validation")), READ)[:TEXTS]
sight = lambda_sight(first=4, window=LENGTH - 4, ceiling=LENGTH - 4)
logits = {
    "plain attention": d_transformer_logits(x, params, replace(hp, l_max=READ)),
    "a Λ and a ceiling": sighted_logits(x, params, hp, sight),
}

bands = [(0, LENGTH), *((LENGTH << i, LENGTH << (i + 1)) for i in range(int(math.log2(READ / LENGTH))))]
print(f"trained with {LENGTH} characters, bits per character at")
print(" " * 20 + "".join(f"{f'{begin}-{end - 1}':>10}" for begin, end in bands))
for name, of in logits.items():
    log_p = np.asarray(jax.nn.log_softmax(of[:, :-1]))
    bits = -np.take_along_axis(log_p, x[:, 1:, None], axis=-1)[..., 0].mean(axis=0) / math.log(2)
    print(f"{name:<20}" + "".join(f"{bits[begin:end].mean():>10.2f}" for begin, end in bands))
