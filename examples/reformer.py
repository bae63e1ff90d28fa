"""Which words meet: the words of a book attend to those that fall into the same bucket of a hash.

A word is a vector of its letter triples, so that words that look alike point in like directions. Exact attention would
compare all pairs. LSH attention sorts the words by bucket and compares neighbours in that order; with every round of
hashing more of the weight that exact attention gives to other words is found.

    python examples/reformer.py [--quick]
"""

import re
import sys

import jax
import jax.numpy as jnp
import numpy as np

from formal_tx.data import corpus
from formal_tx.long_context.reformer import ReformerHyperparameters, lsh_attention, rotations

LENGTH, WIDTH, SHARP = 128 if "--quick" in sys.argv else 1024, 64, 120.0
words = list(dict.fromkeys(re.findall("[a-z]{4,}", corpus.english("train").lower())))[:LENGTH]

triples = [[f" {word} "[i : i + 3] for i in range(len(word))] for word in words]
known = sorted({triple for of_word in triples for triple in of_word})
counts = np.zeros((LENGTH, len(known)))
for row, of_word in zip(counts, triples, strict=True):
    for triple in of_word:
        row[known.index(triple)] += 1
vectors = counts @ np.random.default_rng(0).normal(size=(len(known), WIDTH))
Q = jnp.asarray(SHARP * vectors / np.linalg.norm(vectors, axis=1, keepdims=True), jnp.float32)
everybody = jnp.eye(LENGTH)  # with these values the answers are the weights themselves


def weights(rounds, chunk, **options):
    hp = ReformerHyperparameters(chunk=chunk, buckets=32, rounds=rounds, **options)
    return np.asarray(lsh_attention(Q, everybody, rotations(jax.random.key(1), WIDTH, hp), hp))


exact = weights(1, LENGTH, same_bucket=False)  # one chunk of all words
print(f"{LENGTH} words, {LENGTH**2} pairs; how much of the weight of exact attention is found:")
for rounds in (1, 2, 4, 8):
    found = weights(rounds, 16)
    common = np.minimum(found, exact).sum() / LENGTH
    print(f"  {rounds} rounds: {common:.0%}, with at most {rounds * LENGTH * 32} pairs compared")

print("\nwhom a word looks at, exactly and in 8 rounds:")
for word in ("beginning", "created", "heavens", "waters"):
    t = words.index(word)

    def looked_at(A, t=t):
        return ", ".join(words[u] for u in np.argsort(-A[t])[:3])

    print(f"  {word:<9} {looked_at(exact):<34} {looked_at(found)}")
