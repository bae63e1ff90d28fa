"""StreamingLLM (2309.17453): with attention sinks a stream without an end, in constant memory and time per token.

python -m benchmarks.claims.streaming_llm [--quick]
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from formal_tx.long_context.first_and_near_decoder import sighted_attend, sighted_cache, sighted_step
from formal_tx.long_context.streaming_llm import streaming_attention, streaming_sight

from . import switching_maps
from .claim import Claim, quick
from .growth import exponent, seconds
from .lm_infinite import READ, TRAINED, Attends, by_band, plain, smollm2, smollm2_losses, smoothed, trained

SINKS = (0, 1, 4)
PART = 5000
"""So many tokens of the long stream are timed together."""


def attends(size: int) -> Attends:
    """Caches of one size, with and without sinks."""
    sights = {g: streaming_sight(sinks=g, window=size - g) for g in SINKS}
    return {f"{g} sinks + {size - g}": partial(sighted_attend, sight=sight) for g, sight in sights.items()}


def toy(claim: Claim) -> None:
    """The decoder of lm_infinite's claim."""
    for seed in (0,) if quick() else (0, 1):
        found = by_band(claim, {"full": plain} | dict(attends(TRAINED)), seed, panel=seed == 0)
        full, none, _, four = (list(of.values())[-1] for of in found.values())
        within = next(iter(found["full"].values()))
        claim.holds(f"seed {seed}: 4 sinks are better than full attention by more than 0.8 nats", full - four > 0.8)
        claim.holds(f"seed {seed}: 4 sinks do not lose more than 0.1 nats beyond {TRAINED} tokens", four - within < 0.1)
        claim.holds(f"seed {seed}: 4 sinks are no worse than none (to 0.01 nats)", four <= none + 0.01)


def real_text(claim: Claim) -> None:
    """SmolLM2 with caches far smaller than the text: here the sinks are needed."""
    model = smollm2()
    if model is None:
        claim.note("SmolLM2 is not installed (`make weights`): its part was left out")
        return
    length, size = (193, 64) if quick() else (2049, 256)
    losses = smollm2_losses(model, {"dense": plain} | dict(attends(size)), length)
    beyond = {name: float(of[size:].mean()) for name, of in losses.items()}
    for name, loss in beyond.items():
        claim.measured(f"SmolLM2, {name}: perplexity from token {size} on", np.exp(loss))
    dense, none, one, four = beyond.values()
    claim.holds("SmolLM2: without sinks the perplexity is more than twice that with 4 of them", none - four > np.log(2))
    claim.holds("SmolLM2: with 4 sinks it is less than 1.5 times that of dense attention", four - dense < np.log(1.5))
    claim.holds("SmolLM2: 4 sinks are no worse than one (to 0.01 nats)", four <= one + 0.01)
    width = 32 if quick() else 64
    curves = {name: smoothed(of, width) for name, of in losses.items()}
    claim.panel(f"SmolLM2-135M, a cache of {size}", "position", "loss (nats)", curves)


def long_stream(claim: Claim) -> None:
    """100,000 tokens, one by one, in one program: text of the switching maps, and its loss."""
    params, hp, maps = trained(0)
    length, part = (600, 100) if quick() else (100_000, PART)
    x = switching_maps.texts(jax.random.key(5), maps, 1, length + 1)[0]

    @partial(jax.jit, donate_argnums=0)
    def read(cache: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        def step(cache, pair):
            logits, cache = sighted_step(pair[0], cache, params, hp)
            return cache, -jax.nn.log_softmax(logits)[pair[1]]

        return jax.lax.scan(step, cache, (x[:-1], x[1:]))

    def empty() -> Any:
        return sighted_cache(params, hp, streaming_sight(sinks=4, window=TRAINED - 4))

    size = sum(leaf.nbytes for leaf in jax.tree.leaves(empty()))
    jax.block_until_ready(read(empty(), x[: part + 1]))  # compiled, once for all parts
    cache, losses, times = empty(), [], []
    for begin in range(0, length, part):
        start = time.perf_counter()
        cache, loss = jax.block_until_ready(read(cache, x[begin : begin + part + 1]))
        times.append((time.perf_counter() - start) / part)
        losses.append(float(loss.mean()))
    now = sum(leaf.nbytes for leaf in jax.tree.leaves(cache))
    claim.measured("tokens decoded one by one", length)
    claim.measured("bytes of the cache before, and after", size)
    claim.measured("time of a token, the median", 1e6 * float(np.median(times)), "µs")
    quarter = len(times) // 4 or 1
    first, last = min(times[:quarter]), min(times[-quarter:])  # the least: others use the machine now and then
    ratio = claim.measured("time of a token, last quarter by first, the least of each", last / first)
    claim.measured("loss of the first part", losses[0], "nats")
    claim.measured("loss of the last part", losses[-1], "nats")
    claim.holds("the cache has the same size after 100,000 tokens", now == size and read._cache_size() == 1)
    claim.holds("the last tokens take as long as the first ones (to a quarter)", 0.75 < ratio < 1.25)
    claim.holds("the loss does not grow (by 0.1 nats)", losses[-1] - losses[0] < 0.1)
    positions = [(i + 0.5) * part for i in range(len(losses))]
    claim.panel("a stream of 100,000 tokens", "position", "loss (nats)", {"4 sinks + 60": (positions, losses)})


def against_recomputation(claim: Claim) -> None:
    """The slow way to a bounded memory: the last w tokens are read anew for every token."""
    from formal_tx import d_transformer_logits, init_d_transformer
    from formal_tx.hyperparameters import DTransformerHyperparameters
    from formal_tx.positional import Rotary

    w = 32 if quick() else 512
    hp = DTransformerHyperparameters(
        l_max=w + 4, L=3, H=4, d_e=256, d_mlp=1024, N_V=switching_maps.SYMBOLS + 1, table=None, rotate=Rotary()
    )
    params = init_d_transformer(jax.random.key(0), hp)
    x, token = jnp.zeros(w, int), jnp.zeros((), int)
    cache = sighted_cache(params, hp, streaming_sight(sinks=4, window=w))

    def once(name: str) -> Callable[[], Any]:
        if name == "stream":
            return lambda: sighted_step(token, cache, params, hp)[0]
        return lambda: d_transformer_logits(x, params, hp)[-1]

    fast, slow = (seconds(lambda _, name=name: once(name), [w], 5)[0] for name in ("stream", "recomputed"))
    speed = claim.measured(f"a token of a stream by one that is recomputed, window {w}", slow / fast, "times as fast")
    claim.holds("a stream is more than five times as fast as recomputation", speed > 5)


def growth(claim: Claim) -> None:
    """The time of a whole sequence, as a prompt is read."""
    lengths = [256, 512] if quick() else [4096, 8192, 16384, 32768, 65536]

    def of_length(length: int) -> Callable[[], Any]:
        Q, K, V = (jax.random.normal(k, (2, length, 32)) for k in jax.random.split(jax.random.key(0), 3))
        return partial(streaming_attention, Q, K, V, sinks=4, window=256)

    times = seconds(of_length, lengths, 1 if quick() else 5)
    p = claim.measured("exponent of the time in ℓ, window 256", exponent(lengths, times))
    claim.holds("time grows as ℓ^p with p within 0.1 of 1", abs(p - 1) <= 0.1)


def main() -> None:
    """The claim."""
    claim = Claim(
        system="streaming_llm",
        paper="2309.17453",
        says="streams of millions of tokens at the perplexity of the trained length; without sinks a window collapses; "
        "up to 22 times as fast as recomputation",
        here=f"a decoder trained with {TRAINED} tokens reads {READ}, then 100,000; SmolLM2 2,048 in a cache of 256",
    )
    toy(claim)
    long_stream(claim)
    growth(claim)
    against_recomputation(claim)
    real_text(claim)
    claim.conclude()


if __name__ == "__main__":
    main()
