"""What `formal-tx run MODEL --audio FILE` prints."""

import os
from collections.abc import Iterator

from ..models.model import Model
from .audio import read_wav
from .transcription import segments


def spoken(
    model: Model,
    audio: str | os.PathLike[str],
    *,
    timestamps: bool = False,
    language: str | None = None,
    translate: bool = False,
) -> Iterator[str]:
    """The lines of a transcript, as soon as they are heard: "[00:00.00 --> 00:02.24] text" with `timestamps`.

    Sound at another rate than 16 kHz is resampled.

    Raises:
      OSError: the file cannot be read. ValueError: it is no WAV file of whole numbers, and as `segments`.
    """
    sound = read_wav(audio, resample=True)
    for segment in segments(model, sound, timestamps=timestamps, language=language, translate=translate):
        text = segment.text.strip()
        yield f"[{_clock(segment.start)} --> {_clock(segment.end)}] {text}" if timestamps else text


def _clock(seconds: float) -> str:
    """A time as minutes, or hours and minutes, and seconds."""
    minutes, rest = divmod(round(seconds * 100), 6000)
    hours, minutes = divmod(minutes, 60)
    clock = f"{minutes:02}:{rest // 100:02}.{rest % 100:02}"
    return f"{hours}:{clock}" if hours else clock
