"""A Recurrent Memory Transformer remembers a fact while it reads the Bible.

A text begins with one of eight facts, goes on with verses, and ends with a question: which fact was it? The encoder
reads 16 characters at a time, and the only thing it takes from one segment to the next is its memory, 4 vectors. It is
trained on one segment, then on two, then on three, and asked after many more.

    python examples/recurrent_memory.py [--quick]
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from formal_tx import ETransformerHyperparameters
from formal_tx.data import corpus
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.linear import affine
from formal_tx.long_context.recurrent_memory import init_recurrent_memory, rmt_encoder
from formal_tx.placement import PRE

SEGMENT, M, FACTS, BATCH = 16, 4, 8, 32
UPDATES = 20 if "--quick" in sys.argv else 400
tokenizer = Tokenizer.train("characters", [corpus.english("train")])
FIRST_FACT, QUESTION = tokenizer.N_V, tokenizer.N_V + FACTS
hp = ETransformerHyperparameters(
    l_max=SEGMENT + M + 3, L=2, H=4, d_e=48, d_mlp=96, N_V=QUESTION + 4, placement=PRE, final_norm=True, head=False
)
adam = optax.chain(optax.clip_by_global_norm(1), optax.adam(2e-3))


def texts(ids, key, n, batch):
    """Texts (batch, n * SEGMENT) of a fact, verses from anywhere, and the question; and the numbers of the facts."""
    of_place, of_fact = jax.random.split(key)
    start = jax.random.randint(of_place, (batch, 1), 0, len(ids) - n * SEGMENT)
    fact = jax.random.randint(of_fact, (batch,), 0, FACTS)
    x = ids[start + jnp.arange(n * SEGMENT)[None, :]]
    return x.at[:, 0].set(FIRST_FACT + fact).at[:, -1].set(QUESTION), fact


def scores(params, x):
    """How like the encoder's first row is to the embedding of each fact."""
    cls = rmt_encoder(x, params, hp, segment=SEGMENT).cls
    return affine(cls, params.backbone.W_e[FIRST_FACT:QUESTION]) / hp.d_e**0.5


def train(params, ids, n, key):
    """θ after so many updates with texts of n segments."""

    def loss(params, key):
        x, fact = texts(ids, key, n, BATCH)
        return optax.softmax_cross_entropy_with_integer_labels(scores(params, x), fact).mean()

    def update(state, key):
        params, moments = state
        change, moments = adam.update(jax.grad(loss)(params, key), moments, params)
        return (optax.apply_updates(params, change), moments), None

    run = jax.jit(lambda state, keys: jax.lax.scan(update, state, keys)[0])
    return run((params, adam.init(params)), jax.random.split(key, UPDATES))[0]


read, unread = (jnp.asarray(tokenizer.encode(corpus.english(split))) for split in ("train", "validation"))
params = init_recurrent_memory(jax.random.key(0), hp, M)
for n in (1, 2, 3):
    params = train(params, read, n, jax.random.key(n))
    asked = jax.random.key(100)
    right = {}
    for segments in (1, 2, 3, 6, 12):
        x, fact = texts(unread, asked, segments, 256)
        right[segments] = np.mean(jnp.argmax(scores(params, x), axis=-1) == fact)
    after = ", ".join(f"{share:.0%} after {segments * SEGMENT}" for segments, share in right.items())
    print(f"trained on up to {n} segments: it knows the fact of {after} characters")
