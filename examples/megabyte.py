"""MEGABYTE learns English from raw bytes, without a tokenizer, and shows what its patches cost and what it writes.

Its global stack takes a step for each patch of four bytes, its local stack one for each byte. Where in a patch does a
byte cost most? The first slots have read everything before the patch, and nothing of the word that goes on in it.

    python examples/megabyte.py [--quick]
"""

import sys
from functools import partial

import jax
import numpy as np
import optax

from formal_tx.data import batches, corpus
from formal_tx.long_context.megabyte import MegabyteHyperparameters, bits_per_byte, init_megabyte, megabyte
from formal_tx.long_context.megabyte_generation import megabyte_inference

hp = MegabyteHyperparameters(T_max=128, P=4, D_G=32, D_L=64, L_G=2, L_L=2, H_G=4, H_L=4)
UPDATES, BATCH = 20 if "--quick" in sys.argv else 1000, 16
train, held_out = (np.frombuffer(corpus.english(split).encode(), np.uint8) for split in ("train", "validation"))

schedule = optax.warmup_cosine_decay_schedule(0, 3e-3, UPDATES // 10, UPDATES)
optimizer = optax.chain(optax.clip_by_global_norm(1), optax.adam(schedule))


@partial(jax.jit, donate_argnums=(0, 1))
def update(params, state, x):
    """One step of Adam, and the loss before it."""
    loss, gradient = jax.value_and_grad(bits_per_byte)(params, x, hp)
    step, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, step), state, loss


params = init_megabyte(jax.random.key(0), hp)
state, rng = optimizer.init(params), np.random.default_rng(0)
for i in range(UPDATES):
    params, state, loss = update(params, state, batches.windows(train, hp.T_max, BATCH, rng))
    if i % (UPDATES // 5) == 0:
        print(f"{i:5} updates, {loss:.2f} bits per byte")

x = batches.consecutive(held_out, hp.T_max)[:128]
p = np.take_along_axis(np.asarray(megabyte(x, params, hp)), x[..., None].astype(int), axis=-1)[..., 0]
bits = -np.log2(p)
print(f"held-out books: {bits.mean():.2f} bits per byte; by slot of the patch, the first patch of a text left out:")
print("  " + "  ".join(f"{slot}: {bits[:, hp.P :].reshape(-1, hp.P)[:, slot].mean():.2f}" for slot in range(hp.P)))

prompt = "And the king said to "
y = megabyte_inference(
    np.frombuffer(prompt.encode(), np.uint8),
    params,
    hp,
    length=hp.T_max - len(prompt),
    temperature=0.6,
    key=jax.random.key(1),
)
print(prompt + bytes(np.asarray(y).tolist()).decode(errors="replace"))
