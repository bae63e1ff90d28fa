"""A trained encoder whose attention is replaced by a cheaper one, without training it again: clustered attention.

The encoder fills in missing letters of verses, with softmax attention. Then its queries are put into a few clusters,
and the mean of a cluster asks for all of its members; improved, each member asks the best keys of its cluster itself.

    python examples/clustered_attention.py [--quick]
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from formal_tx import DTransformerHyperparameters, init_d_transformer, masks
from formal_tx.architectures import d_layers, logits_of, self_attend
from formal_tx.data import batches, corpus
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.long_context.clustered_attention import clustered_attend

LENGTH, BATCH, MISSING = 64, 32, 0.15
UPDATES = 20 if "--quick" in sys.argv else 1000
tokenizer = Tokenizer.train("characters", [corpus.english("train")])
# Algorithm 10 with a mask that lets a token see everything is an encoder with norms before its sub-layers.
hp = DTransformerHyperparameters(l_max=LENGTH, L=2, H=4, d_e=64, d_mlp=256, N_V=tokenizer.N_V)
softmax = self_attend(masks.full)


def logits(params, x, attend, states=None):
    return logits_of(d_layers(x, params, hp, attend, states=states)[0], params, hp)


def blanked(x, key):
    """The text without some of its letters, and which these are."""
    missing = jax.random.bernoulli(key, MISSING, x.shape)
    return jnp.where(missing, tokenizer.mask_token, x), missing


def loss(params, x, key):
    seen, missing = blanked(x, key)
    of_each = optax.softmax_cross_entropy_with_integer_labels(logits(params, seen, softmax), x)
    return (of_each * missing).sum() / missing.sum()


optimizer = optax.adamw(optax.warmup_cosine_decay_schedule(0, 4e-3, UPDATES // 10, UPDATES))


@jax.jit
def update(params, state, x, key):
    value, gradient = jax.value_and_grad(loss)(params, x, key)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state, value


@partial(jax.jit, static_argnames="attend")
def right(params, x, attend):
    """The share of missing letters that are guessed."""
    seen, missing = blanked(x, jax.random.key(1))
    keys = None if attend is softmax else jax.random.split(jax.random.key(2), hp.L)
    guesses = jnp.argmax(logits(params, seen, attend, keys), axis=-1)
    return ((guesses == x) & missing).sum() / missing.sum()


params = init_d_transformer(jax.random.key(0), hp)
params = params.replace(W_e=50 * params.W_e, W_p=50 * params.W_p)  # as large as an encoder's, so that it learns sooner
state, text = optimizer.init(params), tokenizer.encode(corpus.english("train"))
windows = batches.windows(text, LENGTH, UPDATES * BATCH, np.random.default_rng(0)).reshape(UPDATES, BATCH, -1)
for x, key in zip(windows, jax.random.split(jax.random.key(3), UPDATES), strict=True):
    params, state, value = update(params, state, jnp.asarray(x), key)
print(f"{UPDATES} updates: the loss of a missing letter is {value:.2f} nats")
x = jnp.asarray(batches.consecutive(tokenizer.encode(corpus.english("validation")), LENGTH)[:64])
print(f"softmax attention, {LENGTH} rows of scores a head: {right(params, x, softmax):.1%} of missing letters guessed")
for clusters in (4, 16, 48):
    plain, improved = (right(params, x, clustered_attend(clusters, k=k, bits=63)) for k in (None, 16))
    print(f"{clusters:3} clusters: {plain:.1%}; improved, each query asks 16 keys itself: {improved:.1%}")
