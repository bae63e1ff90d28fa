"""Gradient norms: how strongly does the loss depend on what each layer adds to the residual stream?

To what a line computes a zero is added, and the loss is differentiated with respect to it: for all lines in one call.

    python examples/gradient_norms.py [--quick]     # trains the model of train_decoder.py first, a little
"""

import sys

import jax
import jax.numpy as jnp
from train_decoder import hp, tokenizer, train

from formal_tx import init_d_transformer
from formal_tx.data import batches, corpus
from formal_tx.losses import d_loss
from formal_tx.tagging import plant, reap

x = batches.consecutive(tokenizer.encode(corpus.english("validation")), hp.l_max)[:64]
LINES = [f"layers/{layer}/{line}" for layer in range(hp.L) for line in ("6.X", "8.X")]  # after attention, after the MLP


@jax.jit
def norms(params):
    """‖∂ loss / ∂ X‖ of each line, over the batch, and the norm of X itself."""

    def loss(x):
        return d_loss(params, x, hp, mean=True)

    _, lines = reap(loss)(x)
    zeros = {line: jnp.zeros_like(lines[line]) for line in LINES}
    gradient = jax.grad(lambda z: plant(loss, {line: lambda X, line=line: X + z[line] for line in z})(x))(zeros)
    return {line: (jnp.linalg.norm(gradient[line]), jnp.linalg.norm(lines[line])) for line in LINES}


models = {"untrained": init_d_transformer(jax.random.key(0), hp)}
models["trained"] = train(updates=50 if "--quick" in sys.argv else 500)
for name, params in models.items():
    print(f"\n{name}: norm of the gradient, norm of the value")
    for line, (gradient, value) in norms(params).items():
        print(f"  {line:13} {gradient:.2e} {value:8.1f}")
