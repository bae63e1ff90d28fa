"""Whisper tiny.en: recorded prompts through ours and through CTranslate2, with the same weights, in float32.

python -m benchmarks.speech
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from .harness.absent import Absent
from .harness.apart import apart
from .harness.command import command
from .harness.comparison import compare
from .harness.records import not_measured
from .harness.results import Record
from .harness.rival import Rival
from .harness.settings import Settings
from .rivals.recordings import model, recordings, write_features

RECORDINGS = 10
NAME, CASE = "CTranslate2, float32", "Whisper tiny.en"


def measure(settings: Settings) -> Iterator[Record]:
    """One line: how many times as fast; and how many seconds of sound in how many seconds (`audio_seconds`)."""
    try:
        weights, files = model(), recordings(3 if settings.quick else RECORDINGS)
    except Absent as reason:
        yield not_measured("speech", CASE, NAME, reason)
        return
    with tempfile.TemporaryDirectory() as directory:
        features = Path(directory, "features.npy")
        seconds = apart(write_features, files, features)
        given = {"model": str(weights), "features": str(features)}
        ours = Rival("ours", "benchmarks.rivals.our_speech:transcriptions", **given)
        rival = Rival(NAME, "benchmarks.rivals.ctranslate2_speech:transcriptions", **given)
        yield from compare(settings, "speech", CASE, ours, [rival], audio_seconds=seconds)


if __name__ == "__main__":
    command("speech", measure, __doc__)
