"""Clustered attention (2007.04825): time in proportion to the length, and an error that falls with the clusters.

python -m benchmarks.claims.clustered_attention [--quick]
"""

from functools import partial

import jax
import jax.numpy as jnp

from formal_tx import masks
from formal_tx.attend import dense
from formal_tx.long_context.clustered_attention import (
    clustered_attention,
    draw_clustering,
    improved_clustered_attention,
)

from .claim import Claim, quick
from .growth import exponent, seconds

HEADS, WIDTH, BITS = 2, 32, 63
CLUSTERS, KEYS = 100, 32
"""As many as in the paper's experiments, and the best keys of the improved form."""


def layer_times(claim: Claim) -> None:
    """One layer with so many clusters, however long the sequence is, and softmax attention."""
    lengths = [256, 512] if quick() else [4096, 8192, 16384, 32768, 65536]
    short = [128, 256] if quick() else [1024, 2048, 4096, 8192]

    def arrays(length: int) -> list[jax.Array]:
        return [jax.random.normal(key, (HEADS, length, WIDTH)) for key in jax.random.split(jax.random.key(0), 3)]

    def clustered(length: int):
        clustering = draw_clustering(jax.random.key(1), WIDTH, length, CLUSTERS, bits=BITS)
        return partial(clustered_attention, *arrays(length), clustering)

    def improved(length: int):
        clustering = draw_clustering(jax.random.key(1), WIDTH, length, CLUSTERS, bits=BITS)
        return partial(improved_clustered_attention, *arrays(length), clustering, KEYS)

    @jax.jit
    def softmax(Q, K, V):
        return dense(Q, K, V, masks.dense(masks.full, Q.shape[-2], Q.shape[-2]))

    rounds = 1 if quick() else 3
    times = {"clustered": seconds(clustered, lengths, rounds), "improved": seconds(improved, lengths, rounds)}
    for name, of_lengths in times.items():
        p = exponent(lengths, of_lengths)
        claim.measured(f"{name}: exponent of the time in ℓ, {CLUSTERS} clusters", p)
        claim.measured(f"{name}: a layer at ℓ = {lengths[-1]}", 1e3 * of_lengths[-1], "ms")
        claim.holds(f"{name}: time grows as ℓ^p with p within 0.1 of 1", abs(p - 1) <= 0.1)
    of_softmax = seconds(lambda length: partial(softmax, *arrays(length)), short, rounds)
    q = exponent(short[-3:], of_softmax[-3:])
    claim.measured(f"softmax, all scores at once: exponent of the time in ℓ, {short[-3:][0]} to {short[-1]}", q)
    claim.holds("softmax: time grows as ℓ^p with p of at least 1.6", q >= 1.6)
    lines = {name: (lengths, of_lengths) for name, of_lengths in times.items()}
    claim.panel("one layer", "length", "seconds", lines | {"softmax": (short, of_softmax)}, logarithmic=True)


def errors(claim: Claim) -> None:
    """How far both forms are from softmax attention, of queries that lie around centres, as those of models do."""
    batch, length, centres = (2, 64, 8) if quick() else (4, 1024, 32)
    keys = jax.random.split(jax.random.key(2), 5)
    means = 2 * jax.random.normal(keys[0], (batch, centres, WIDTH))
    of = jax.random.randint(keys[1], (batch, length, 1), 0, centres)
    Q = jnp.take_along_axis(means, of, axis=1) + 0.5 * jax.random.normal(keys[2], (batch, length, WIDTH))
    K, V = (jax.random.normal(key, (batch, length, WIDTH)) for key in keys[3:])
    exact = dense(Q, K, V, jnp.ones((length, length), bool))

    def error(Y: jax.Array) -> float:
        """Relative to the size of the answers."""
        return float(jnp.sqrt(jnp.mean((Y - exact) ** 2) / jnp.mean(exact**2)))

    clusters = [1, 4, 16, length] if quick() else [1, 4, 16, 64, 256, length]
    of_clustered, of_improved = [], []
    for C in clusters:
        clustering = draw_clustering(jax.random.key(3), WIDTH, length, C, bits=1024 if length == C else BITS)
        of_clustered.append(error(clustered_attention(Q, K, V, clustering)))
        of_improved.append(error(improved_clustered_attention(Q, K, V, clustering, KEYS)))
        claim.measured(f"error with {C} clusters", of_clustered[-1])
        claim.measured(f"error with {C} clusters, improved, {KEYS} keys", of_improved[-1])
    # A hash for each query that no other has makes each a cluster of its own: what is left is rounding in float32.
    claim.holds("as many clusters as queries are softmax attention, to 1e-5", of_clustered[-1] < 1e-5)
    few = range(len(clusters) - 1)
    falls = all(errors[i + 1] <= errors[i] for errors in (of_clustered, of_improved) for i in few)
    claim.holds("the error of both forms falls with the number of clusters", falls)
    better = all(b < a for a, b in zip(of_clustered[:-1], of_improved[:-1], strict=True))
    claim.holds("the improved form has the smaller error with any number of clusters", better)
    lines = {"clustered": (clusters[:-1], of_clustered[:-1]), "improved": (clusters[:-1], of_improved[:-1])}
    claim.panel(f"against softmax attention, ℓ = {length}", "clusters", "relative error", lines, logarithmic=True)


if __name__ == "__main__":
    claim = Claim(
        system="clustered_attention",
        paper="2007.04825",
        says="with a fixed number of clusters the time of a layer is proportional to the length, and the answers come "
        "near those of softmax attention, the improved form nearer than the plain one",
        here=f"one layer of {HEADS} heads of width {WIDTH} with {CLUSTERS} clusters; the error for random keys and "
        "values, and queries around 32 centres",
    )
    layer_times(claim)
    errors(claim)
    claim.note("The paper measures speech recognition and language models; here only the layer itself is measured.")
    claim.conclude()
