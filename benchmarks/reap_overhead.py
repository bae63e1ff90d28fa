"""Time of the demo's model with every line reaped against the plain forward pass, both jitted.

python benchmarks/reap_overhead.py
"""

import statistics
import time

import jax
import numpy as np

from formal_tx import DTransformerHyperparameters, d_transformer_logits, init_d_transformer
from formal_tx.tagging import reap

ROUNDS, CALLS = 15, 10
hp = DTransformerHyperparameters(l_max=64, L=2, H=4, d_e=128, d_mlp=512, N_V=70)  # as `formal-tx demo` trains it
BATCH = 8


def seconds(f, *args) -> float:
    """Seconds for one call, of `CALLS` in a row."""
    start = time.perf_counter()
    for _ in range(CALLS):
        jax.block_until_ready(f(*args))
    return (time.perf_counter() - start) / CALLS


def main() -> None:
    """Alternate the two, and print the median of each and the median of their ratios."""
    params = jax.jit(lambda key: init_d_transformer(key, hp))(jax.random.key(0))
    x = np.random.default_rng(0).integers(hp.N_V, size=(BATCH, hp.l_max))
    plain = jax.jit(lambda x, params: d_transformer_logits(x, params, hp))
    reaped = jax.jit(reap(lambda x, params: d_transformer_logits(x, params, hp)))
    _, lines = reaped(x, params)
    jax.block_until_ready(plain(x, params))
    times = [(seconds(plain, x, params), seconds(reaped, x, params)) for _ in range(ROUNDS)]
    for name, column in zip(("plain", "reaped"), zip(*times, strict=True), strict=True):
        spread = f"{1e3 * min(column):.2f} to {1e3 * max(column):.2f}"
        print(f"{name:6}: {1e3 * statistics.median(column):.2f} ms (median of {ROUNDS}, {spread})")
    size = sum(value.nbytes for value in lines.values()) / 2**20
    print(f"ratio: {statistics.median(r / p for p, r in times):.2f}, for {len(lines)} values, {size:.1f} MiB")


if __name__ == "__main__":
    main()
