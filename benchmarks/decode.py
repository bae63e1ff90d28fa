"""Decoding: greedy continuations of ours against Hugging Face's `generate` and CTranslate2.

python -m benchmarks.decode

GPT-2 small's shape with random weights, in float32 and with int8 weights; and SmolLM2-135M from its GGUF file, against
`generate` with the same numbers.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .harness.absent import Absent
from .harness.apart import apart
from .harness.command import command
from .harness.comparison import compare
from .harness.limit import reading
from .harness.records import not_measured
from .harness.results import Record
from .harness.rival import Rival
from .harness.settings import Settings
from .rivals.decoders import GPT2_PARAMETERS, SMOLLM2_PARAMETERS, dequantised, random_gpt2, smollm2

PROMPT, TOKENS = 16, 64
BYTES = {"float32": 4, "int8": 1}
OURS = "benchmarks.rivals.our_generation:generate"
HUGGING_FACE = "benchmarks.rivals.huggingface_generation:generate"
CTRANSLATE2 = "benchmarks.rivals.ctranslate2_generation:generate"


def measure(settings: Settings) -> Iterator[Record]:
    """A line for each model, type of weights, batch size and rival."""
    with tempfile.TemporaryDirectory() as directory:
        yield from _gpt2(settings, Path(directory))
    if settings.wants("SmolLM2-135M, batch 1"):
        with tempfile.TemporaryDirectory() as directory:
            yield from _smollm2(settings, Path(directory))


def _gpt2(settings: Settings, directory: Path) -> Iterator[Record]:
    cases = [(batch, weights) for weights in BYTES for batch in (1, 8)]
    wanted = {f"GPT-2 small, {w}, batch {b}": (b, w) for b, w in settings.few(cases, [(1, "float32"), (1, "int8")])}
    wanted = {case: what for case, what in wanted.items() if settings.wants(case)}
    if wanted:
        apart(random_gpt2, directory)
    for case, (batch, weights) in wanted.items():
        asked = {"batch": batch, "prompt": PROMPT, "tokens": TOKENS}
        ours = Rival("ours", OURS, path=str(directory / "huggingface"), weights=weights, **asked)
        rivals = [
            Rival("Hugging Face generate, float32", HUGGING_FACE, directory=str(directory / "huggingface"), **asked)
        ]
        if weights == "int8":
            converted = str(directory / "ctranslate2")
            rivals.append(Rival("CTranslate2, int8", CTRANSLATE2, directory=converted, N_V=50257, **asked))
        yield from _compared(settings, case, ours, rivals, GPT2_PARAMETERS * BYTES[weights], batch)


def _smollm2(settings: Settings, directory: Path) -> Iterator[Record]:
    case, name = "SmolLM2-135M, batch 1", "Hugging Face generate, float32"
    try:
        path = smollm2()
    except Absent as reason:
        yield not_measured("decode", case, name, reason)
        return
    apart(dequantised, path, directory / "huggingface")
    asked: dict[str, Any] = {"batch": 1, "prompt": PROMPT, "tokens": TOKENS}
    ours = Rival("ours", OURS, path=str(path), **asked)
    rival = Rival(name, HUGGING_FACE, directory=str(directory / "huggingface"), **asked)
    yield from _compared(settings, case, ours, [rival], SMOLLM2_PARAMETERS * BYTES["float32"], 1)


def _compared(
    settings: Settings, case: str, ours: Rival, rivals: list[Rival], size: int, batch: int
) -> Iterator[Record]:
    """Each token of a text reads every parameter once, whatever the batch."""
    limit = reading(TOKENS * size, size)
    yield from compare(settings, "decode", case, ours, rivals, limit, tokens=batch * TOKENS)


if __name__ == "__main__":
    command("decode", measure, __doc__)
