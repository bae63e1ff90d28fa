"""Induction heads: which heads look at what came after the same token last time?

A decoder learns texts of random tokens that are repeated with a period of 4 to 8. Of new ones, the score of a head is
the attention that a repeated token pays to the one after its last occurrence. A head of the first layer can only go by
positions to get there; one of the second may go by the tokens.

    python examples/induction_heads.py [--quick]
"""

import sys

import jax
import numpy as np
import optax

from formal_tx import DTransformerHyperparameters, d_training, d_transformer_logits, init_d_transformer
from formal_tx.tagging import reap

LENGTH, BATCH = 16, 32
hp = DTransformerHyperparameters(l_max=LENGTH, L=2, H=4, d_e=32, d_mlp=64, N_V=32)
updates, rng = 50 if "--quick" in sys.argv else 2000, np.random.default_rng(0)


def repeated(n, period):
    """n texts (n, LENGTH) of random tokens that repeat themselves."""
    return np.tile(rng.integers(hp.N_V - 3, size=(n, period)), LENGTH)[:, :LENGTH]


x = np.concatenate([repeated(updates * BATCH // 5 + BATCH, period) for period in range(4, 9)])
x = rng.permutation(x)[: updates * BATCH]
adam = optax.adam(optax.cosine_decay_schedule(5e-3, updates))
params = init_d_transformer(jax.random.key(0), hp)
params = d_training(x, params, hp, epochs=1, optimizer=adam, batch_size=BATCH, mean=True)

run = jax.jit(reap(lambda x: d_transformer_logits(x, params, hp)))
new = {period: repeated(64, period) for period in (5, 8)}
for period, x in new.items():
    logits, lines = run(x)
    t = np.arange(period, LENGTH - 1)
    right = np.argmax(logits[:, t], axis=-1) == x[:, t + 1]
    print(f"period {period}: {right.mean():.0%} of what is repeated is predicted")
    for layer in range(hp.L):
        A = lines[f"layers/{layer}/A"]  # (batch, H, ℓ, ℓ)
        score = A[:, :, t, t - period + 1].mean(axis=(0, 2))
        print(f"  layer {layer + 1}: " + ", ".join(f"head {h + 1} {score[h]:.2f}" for h in range(hp.H)))
