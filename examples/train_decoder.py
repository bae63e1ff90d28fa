"""Algorithm 13 trains Algorithm 10 on the characters of the embedded corpus, and Algorithm 14 writes.

python examples/train_decoder.py            # half a minute or so
python examples/train_decoder.py --quick    # seconds, to see that it runs
"""

import math
import sys

import jax
import numpy as np
import optax

from formal_tx import DTransformerHyperparameters, d_inference, d_training, init_d_transformer
from formal_tx.data import batches, corpus
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.losses import d_loss

tokenizer = Tokenizer.train("characters", [corpus.english("train")])
hp = DTransformerHyperparameters(l_max=48, L=2, H=4, d_e=64, d_mlp=256, N_V=tokenizer.N_V)
BATCH, UPDATES_PER_CALL = 16, 50


def train(updates):
    """θ after so many updates of `BATCH` windows of text each."""
    ids, rng = tokenizer.encode(corpus.english("train")), np.random.default_rng(0)
    params, state = init_d_transformer(jax.random.key(0), hp), None
    schedule = optax.warmup_cosine_decay_schedule(0, 8e-3, updates // 10, updates)
    optimizer = optax.chain(optax.clip_by_global_norm(1), optax.adamw(schedule, b2=0.98, weight_decay=0.01))
    for done in range(0, updates, UPDATES_PER_CALL):
        x = batches.windows(ids, hp.l_max, UPDATES_PER_CALL * BATCH, rng)
        params, history = d_training(
            x,
            params,
            hp,
            epochs=1,
            optimizer=optimizer,
            batch_size=BATCH,
            mean=True,
            optimizer_state=state,
            history=True,
        )
        state = history.optimizer_state
        print(f"{done + UPDATES_PER_CALL:5} updates, {history.loss.mean() / math.log(2):.2f} bits per character")
    return params


if __name__ == "__main__":
    params = train(updates=50 if "--quick" in sys.argv else 1000)
    held_out = batches.consecutive(tokenizer.encode(corpus.english("validation")), hp.l_max)[:256]
    print(f"held-out books: {d_loss(params, held_out, hp, mean=True) / math.log(2):.2f} bits per character\n")

    prompt = "In the beginning "
    y = d_inference(
        tokenizer.encode(prompt), params, hp, length=hp.l_max - len(prompt), temperature=0.7, key=jax.random.key(1)
    )
    print(prompt + tokenizer.decode(y))
