"""Causal attention, six heads of 64, float32: ours against PyTorch's fused kernel, and how a window's time grows.

python -m benchmarks.attention
"""

from collections.abc import Iterator

from .harness.command import command
from .harness.comparison import compare
from .harness.growth import growth
from .harness.limit import products
from .harness.results import Record
from .harness.rival import Rival
from .harness.settings import Settings

LENGTHS, LENGTHS_OF_WINDOWS, WINDOW = (1024, 2048, 4096, 8192, 16384), (4096, 8192, 16384, 32768, 65536), 512
H, D = 6, 64
OURS, TORCH, JAX = (f"benchmarks.rivals.{who}_attention" for who in ("our", "torch", "jax"))
LENGTHS_OF_JAX = (1024, 2048, 4096)  # it keeps all scores, 6 GB of them for 16,384 tokens
OPERATIONS = {"forward": 4, "gradients": 14}  # for each query, key that it sees, and feature; the backward pass has 10


def measure(settings: Settings) -> Iterator[Record]:
    """A line for each length, with and without gradients; and the exponents of a window's time."""
    for kind, label in (("forward", "forward"), ("gradients", "forward + backward")):
        for l in settings.few(LENGTHS, (1024, 4096)):
            ours, rivals = (
                Rival("ours", f"{OURS}:{kind}", l=l),
                [Rival("PyTorch, fused kernel", f"{TORCH}:{kind}", l=l)],
            )
            if l in settings.few(LENGTHS_OF_JAX):
                rivals.append(Rival("jax.nn.dot_product_attention", f"{JAX}:{kind}", l=l))
            limit = products(OPERATIONS[kind] * H * D * l * (l + 1) / 2)
            yield from compare(settings, "attention", f"{label}, ℓ = {l:,}", ours, rivals, limit, size={"ℓ": l})

    def windowed(l: int) -> Rival:
        return Rival(f"ℓ = {l}", f"{OURS}:forward", l=l, window=WINDOW)

    lengths = settings.few(LENGTHS_OF_WINDOWS, (4096, 8192, 16384))
    yield from growth(settings, "attention", f"window of {WINDOW}", "ℓ", windowed, lengths)


if __name__ == "__main__":
    command("attention", measure, __doc__)
