"""Training nanoGPT's small configuration: ours against PyTorch, eager and compiled, and a textbook Flax model.

python -m benchmarks.train
"""

import os
from collections.abc import Iterator

from .harness.apart import apart
from .harness.command import command
from .harness.comparison import compare
from .harness.limit import products
from .harness.results import Record
from .harness.rival import Rival
from .harness.settings import Settings
from .rivals.nanogpt_small import LENGTH, operations

TORCH = "benchmarks.rivals.torch_training"
TURN = 2.0
"""Seconds. Training is step after step, without pauses: so each turn begins with a step that is not timed.

That one takes 1.1 s instead of 0.7 at batch 12, since new memory costs more after a pause (docs/performance.md).
"""


def trainer(batch: int) -> Rival:
    """Ours, in the environment in which `formal-tx train` runs."""
    return Rival("ours", "benchmarks.rivals.our_training:step", environment=apart(environment), batch=batch)


def environment() -> dict[str, str]:
    """That of this process, with huge pages."""
    from formal_tx.cli.huge_pages import with_huge_pages

    return with_huge_pages(os.environ)


def measure(settings: Settings) -> Iterator[Record]:
    """A line for each batch size and rival."""
    for batch in settings.few((4, 12)):
        rivals = [
            Rival("PyTorch, eager", f"{TORCH}:step", batch=batch),
            Rival("Flax, textbook", "benchmarks.rivals.flax_training:step", batch=batch),
            Rival("PyTorch, compiled", f"{TORCH}:step", batch=batch, compiled=True),
        ]
        rivals = list(settings.few(rivals, rivals[:2]))  # PyTorch compiles for half a minute
        ours = trainer(batch)
        tokens = {"tokens": batch * LENGTH}
        limit = products(operations(batch))
        yield from compare(settings, "train", f"batch {batch}", ours, rivals, limit, turn=TURN, untimed=1, **tokens)


if __name__ == "__main__":
    command("train", measure, __doc__)
