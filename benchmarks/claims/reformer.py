"""LSH attention: does its time grow as ℓ log ℓ, and do more rounds come nearer to exact attention?

python -m benchmarks.claims.reformer [--quick]
"""

import jax
import jax.numpy as jnp
import numpy as np

from formal_tx import masks
from formal_tx.attend import attend
from formal_tx.implementation import attend_with
from formal_tx.long_context.reformer import ReformerHyperparameters, lsh_attention, rotations

from .claim import Claim, quick
from .growth import exponent, seconds

HEADS, WIDTH, CHUNK = 2, 32, 64


def clustered(key: jax.Array, l: int, clusters: int) -> jax.Array:
    """Queries (l, WIDTH) around centres of length 8: as in a trained model, a few keys have most of the weight."""
    of_centres, of_tokens, noise = jax.random.split(key, 3)
    centres = jax.random.normal(of_centres, (clusters, WIDTH))
    which = jax.random.randint(of_tokens, (l,), 0, clusters)
    Q = centres[which] + 0.5 * jax.random.normal(noise, (l, WIDTH))
    return 8 * WIDTH**0.5 * Q / jnp.linalg.norm(Q, axis=-1, keepdims=True)


def growth(claim: Claim) -> None:
    """The time of a causal layer by its length, and of exact attention, dense, at lengths that it can bear."""
    lengths = [512, 1024] if quick() else [4096, 8192, 16384, 32768, 65536]
    hp = ReformerHyperparameters(chunk=CHUNK, buckets=64, rounds=2)
    R = rotations(jax.random.key(1), WIDTH, hp, jnp.float32)

    def inputs(l):
        keys = jax.random.split(jax.random.key(0), HEADS)
        Q = jax.vmap(lambda key: clustered(key, l, l // 32))(keys)
        return Q, jax.random.normal(jax.random.key(2), (HEADS, l, WIDTH))

    def hashed(l):
        run = jax.jit(lambda Q, V: lsh_attention(Q, V, R, hp, masks.causal))
        Q, V = inputs(l)
        return lambda: run(Q, V)

    def dense(l):
        run = jax.jit(lambda Q, V: attend(Q, Q / jnp.linalg.norm(Q, axis=-1, keepdims=True), V, masks.causal))
        Q, V = inputs(l)

        def timed():
            with attend_with("dense"):
                return run(Q, V)

        return timed

    times = seconds(hashed, lengths, rounds=2 if quick() else 15)
    p = claim.measured("exponent of time, LSH attention", exponent(lengths, times))
    expected = exponent(lengths, [l * np.log(l) for l in lengths])
    claim.measured("exponent of ℓ log ℓ at these lengths", expected)
    short = [256, 512] if quick() else [1024, 2048, 4096]
    exact = seconds(dense, short, rounds=2 if quick() else 5)
    claim.measured("exponent of time, exact attention", exponent(short, exact))
    claim.holds("time grows as ℓ^p with p within 0.1 of that of ℓ log ℓ", abs(p - expected) <= 0.1)
    each = [1e6 * t / l for t, l in zip(times, lengths, strict=True)]
    claim.note("microseconds a token: " + ", ".join(f"{us:.1f} of {l}" for us, l in zip(each, lengths, strict=True)))
    curves = {"LSH, 2 rounds": (lengths, times), "exact": (short, exact)}
    claim.panel("a causal layer, 2 heads of 32", "tokens", "seconds", curves, logarithmic=True)


def errors(claim: Claim) -> None:
    """How far the answers are from those of exact attention with shared queries and keys, by rounds, in both forms."""
    l, all_rounds = (128, (1, 2)) if quick() else (2048, (1, 2, 4, 8, 16))
    Q, V = clustered(jax.random.key(3), l, l // 32), jax.random.normal(jax.random.key(4), (l, WIDTH))
    whole = ReformerHyperparameters(chunk=l, buckets=2, rounds=1, same_bucket=False)
    exact = lsh_attention(Q, V, rotations(jax.random.key(0), WIDTH, whole, Q.dtype), whole, masks.causal)
    curves = {}
    for name, options in {"by normalisers": {}, "averaged": {"by_normaliser": False}}.items():
        found = []
        for rounds in all_rounds:
            hp = ReformerHyperparameters(chunk=CHUNK, buckets=64, rounds=rounds, **options)
            of_seed = []
            for seed in range(1 if quick() else 3):
                R = rotations(jax.random.key(seed), WIDTH, hp, Q.dtype)
                Y = lsh_attention(Q, V, R, hp, masks.causal)
                of_seed.append(float(jnp.linalg.norm(Y - exact) / jnp.linalg.norm(exact)))
            found.append(claim.measured(f"relative error, {rounds} rounds, {name}", float(np.mean(of_seed))))
        curves[name] = (all_rounds, found)
    fall = curves["by normalisers"][1]
    claim.holds("the error falls with every doubling of the rounds", all(np.diff(fall) < 0))
    if not quick():
        claim.holds("with 8 rounds it is less than half of that with one", fall[3] < fall[0] / 2)
        claim.holds(
            "rounds weighted by their normalisers come nearer than their mean", fall[-1] < curves["averaged"][1][-1]
        )
    claim.panel(f"{l} tokens in clusters of about 32", "rounds", "relative error", curves, logarithmic=True)


def main() -> None:
    claim = Claim(
        "reformer",
        "2001.04451",
        "attention within buckets of a hash takes time O(ℓ log ℓ), and with several rounds of hashing it "
        "finds nearly all that exact attention finds",
        "a causal layer of 4k to 64k tokens with chunks of 64 and two rounds; 2,048 queries in clusters, against exact "
        "attention with shared queries and keys",
    )
    growth(claim)
    errors(claim)
    claim.conclude()


if __name__ == "__main__":
    main()
