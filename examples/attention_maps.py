"""Looking into a model: what every head of every layer attends to, drawn as text, or into a PNG file.

A decoder learns sequences whose second half repeats the first. To continue one it has to look at the token that came
seven places ago, and after a few hundred updates one can see where it does.

    python examples/attention_maps.py [--quick] [maps.png]
"""

import sys

import jax
import numpy as np
import optax

from formal_tx import DTransformerHyperparameters, d_training, d_transformer_logits, init_d_transformer
from formal_tx.tagging import reap

HALF, BATCH = 8, 32
hp = DTransformerHyperparameters(l_max=2 * HALF, L=2, H=2, d_e=32, d_mlp=64, N_V=16)


def draw(attention):
    """A heat map (ℓ, ℓ): a row for each token that asks, a column for each that answers."""
    return ["".join(" .:-=+*#%@"[int(9.99 * a)] * 2 for a in row) for row in attention]


updates = 50 if "--quick" in sys.argv else 600
first = np.random.default_rng(0).integers(hp.N_V - 3, size=(updates * BATCH, HALF))
x = np.concatenate([first, first], axis=1)
params, adam = init_d_transformer(jax.random.key(0), hp), optax.adam(5e-3)
params, history = d_training(x, params, hp, epochs=1, optimizer=adam, batch_size=BATCH, mean=True, history=True)
least = (HALF - 1) / (2 * HALF - 1) * np.log(hp.N_V - 3)  # what the random first half costs anyone
print(f"loss {history.loss[0, 0]:.2f} at first, {history.loss[0, -1]:.2f} at last, {least:.2f} at best\n")

# `reap` returns what every tagged line of the paper computed. Layers are scanned, so they come stacked.
_, lines = reap(lambda x, params: d_transformer_logits(x, params, hp))(x[0], params)
print("some of what the model computed, by the paper's lines:")
for name in list(lines)[3:9]:
    print(f"  {name:<54} {lines[name].shape}")
attention = lines["A"]  # (L, H, ℓ, ℓ); of one layer and head it is lines["layers/0/heads/1/A"]

for layer in range(hp.L):
    print("\n" + "   ".join(f"layer {layer + 1}, head {h + 1}".ljust(4 * HALF) for h in range(hp.H)))
    for rows in zip(*(draw(attention[layer, h]) for h in range(hp.H)), strict=True):
        print("   ".join(rows))

if paths := [argument for argument in sys.argv[1:] if not argument.startswith("-")]:
    from matplotlib.figure import Figure

    figure = Figure((2 * hp.H, 2 * hp.L), layout="constrained")
    for (layer, head), axes in np.ndenumerate(figure.subplots(hp.L, hp.H, squeeze=False)):
        axes.imshow(attention[layer, head], vmin=0, vmax=1, cmap="magma")
        axes.set(title=f"layer {layer + 1}, head {head + 1}", xticks=[], yticks=[])
    figure.savefig(paths[0])
    print(f"\nwrote {paths[0]}")
