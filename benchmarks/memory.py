"""Peak memory: how attention's grows with the length, and a training step's against PyTorch. A process for each.

python -m benchmarks.memory

The peak is what a process has at most in later steps, beyond what it had before the parameters: compiling is left out,
what is compiled is not.
"""

from collections.abc import Iterator
from contextlib import ExitStack

from .harness.command import command
from .harness.comparison import interleaved, started
from .harness.growth import growth
from .harness.records import measured, not_measured
from .harness.results import Record
from .harness.rival import Rival
from .harness.settings import Settings
from .train import trainer

LENGTHS = (4096, 8192, 16384, 32768)
BATCHES = (4, 12)
NAME = "PyTorch, eager"


def measure(settings: Settings) -> Iterator[Record]:
    """The exponent of attention's forward and backward pass, and a line for each batch size."""

    def attention(l: int) -> Rival:
        return Rival(f"ℓ = {l}", "benchmarks.rivals.our_attention:gradients", calls_before=1, l=l)

    once = Settings(settings.quick, rounds=1, only=settings.only)
    lengths = settings.few(LENGTHS, LENGTHS[:3])
    case = "attention, forward + backward"
    yield from growth(once, "memory", case, "ℓ", attention, lengths, of=("memory",))
    for batch in settings.few(BATCHES):
        if settings.wants(f"training step, batch {batch}"):
            yield _step(batch)


def _step(batch: int) -> Record:
    case = f"training step, batch {batch}"
    ours = trainer(batch)
    theirs = Rival(NAME, "benchmarks.rivals.torch_training:step", batch=batch)
    with ExitStack() as stack:
        absent = started(stack, [ours, theirs])
        if absent:
            return not_measured("memory", case, NAME, next(iter(absent.values())))
        interleaved([ours, theirs], 2)
    if ours.peak is None or theirs.peak is None:
        return not_measured("memory", case, NAME, "this system does not say how much memory a process has had")
    peaks = {"ours": ours.peak, "rival": theirs.peak}
    return measured("memory", case, NAME, "memory", [ours.peak / theirs.peak], peak_bytes=peaks)


if __name__ == "__main__":
    command("memory", measure, __doc__)
