"""Activation patching: where does a decoder keep that it reads "Mose", and not "Jose"?

The run on the second text gets, at one layer and one position, the residual stream of the run on the first. How much of
the first run's answer that brings back (0 is nothing, 1 is all) says how much of it is kept there.

    python examples/activation_patching.py [--quick]     # trains the model of train_decoder.py first, a little
"""

import sys

import jax
import numpy as np
from train_decoder import hp, tokenizer, train

from formal_tx import d_transformer_logits
from formal_tx.tagging import plant, reap

params = train(updates=50 if "--quick" in sys.argv else 1000)
clean, other = "the LORD said to Mose", "the LORD said to Jose"
x, y = (np.asarray(tokenizer.encode(text)) for text in (clean, other))
s, p = tokenizer.encode("s")[0], tokenizer.encode("p")[0]


def model(x):
    return d_transformer_logits(x, params, hp)


def answer(logits):
    """How much rather "s", as in Moses, than "p", as in Joseph."""
    return logits[-1, s] - logits[-1, p]


logits, lines = jax.jit(reap(model))(x)
best, worst = answer(logits), answer(jax.jit(model)(y))
print(f"\nlogit of 's' minus logit of 'p' after {clean!r}: {best:.2f}, after {other!r}: {worst:.2f}")
print(f"{'':8}{'     '.join(other)}")
for layer in range(hp.L):
    X = lines[f"layers/{layer}/X"]
    patched = lambda t: plant(model, {f"layers/{layer}/X": lambda value: value.at[t].set(X[t])})(y)  # noqa: B023, E731
    restored = (jax.jit(jax.vmap(lambda t: answer(patched(t))))(np.arange(len(y))) - worst) / (best - worst)  # noqa: B023
    print(f"layer {layer + 1}" + "".join(f"{share:6.2f}" for share in restored))
