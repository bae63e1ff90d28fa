"""How time and memory of a forward and backward pass grow with the length, the number of layers and the batch.

python -m benchmarks.scaling

Attention makes time grow faster than in proportion to ℓ, from 1 where the matrices of the layers dominate towards 2.
"""

from collections.abc import Iterator

from .harness.command import command
from .harness.growth import growth
from .harness.results import Record
from .harness.rival import Rival
from .harness.settings import Settings

BASE = {"l": 256, "L": 4, "batch": 2}
SIZES = {"l": (256, 512, 1024, 2048, 4096), "L": (2, 4, 8, 16, 32), "batch": (2, 4, 8, 16, 32)}
AXES = {"l": "ℓ", "L": "L", "batch": "batch"}


def measure(settings: Settings) -> Iterator[Record]:
    """Two lines for each size that grows while the others stay."""
    for name, sizes in SIZES.items():

        def of_size(size: int, name: str = name) -> Rival:
            return Rival(f"{name} = {size}", "benchmarks.rivals.our_step:gradients", **{**BASE, name: size})

        few = settings.few(sizes, sizes[:3])
        yield from growth(
            settings, "scaling", f"training, {AXES[name]}", AXES[name], of_size, few, of=("time", "memory")
        )


if __name__ == "__main__":
    command("scaling", measure, __doc__)
