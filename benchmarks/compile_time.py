"""Compile time of Algorithm 10 against its depth: layers are scanned, so it should not grow.

python benchmarks/compile_time.py
"""

import statistics
import time

import jax
import jax.numpy as jnp

from formal_tx import DTransformerHyperparameters, d_transformer, init_d_transformer

DEPTHS, RUNS = (2, 96), 5


def seconds_to_compile(L: int) -> float:
    """Seconds to trace, lower and compile `d_transformer` with L layers, nothing of it cached."""
    hp = DTransformerHyperparameters(l_max=64, L=L, H=4, d_e=64, d_mlp=256, N_V=128)
    shapes = jax.eval_shape(lambda key: init_d_transformer(key, hp), jax.random.key(0))
    x = jax.ShapeDtypeStruct((8, 64), jnp.int32)
    jax.clear_caches()
    start = time.perf_counter()
    jax.jit(lambda x, params: d_transformer(x, params, hp)).lower(x, shapes).compile()
    return time.perf_counter() - start


def main() -> None:
    """Alternate the depths, and print the median of each and their ratio."""
    seconds: dict[int, list[float]] = {L: [] for L in DEPTHS}
    for _ in range(RUNS):
        for L in DEPTHS:
            seconds[L].append(seconds_to_compile(L))
    shallow, deep = (statistics.median(seconds[L]) for L in DEPTHS)
    for L in DEPTHS:
        spread = f"{min(seconds[L]):.2f} to {max(seconds[L]):.2f}"
        print(f"L = {L:2}: {statistics.median(seconds[L]):.2f} s (median of {RUNS}, {spread})")
    print(f"ratio: {deep / shallow:.2f}")


if __name__ == "__main__":
    main()
