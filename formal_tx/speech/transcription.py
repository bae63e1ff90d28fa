"""Transcription of sound of any length, window by window, as the released code of Whisper does it (2212.04356, 4.5).

One thing differs. What is missing of the last window is silence, as in training, and not the number 0 among its
features, which is loud.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ..models.model import Model
from .audio import require_sound
from .log_mel import FRAMES_A_SECOND, HOP, WINDOW_FRAMES, WINDOW_SAMPLES, log_mel, pad_or_trim
from .segments import pieces
from .whisper import Decoded, Whisper, decode_window, hear, language_of

TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
REPETITIVE = 2.4  # a text that zlib makes so many times shorter repeats itself
UNLIKELY = -1.0  # mean log-probability of a token below which a text is not believed
SILENCE = 0.6  # P(no speech) above which an unlikely text is none
FORGETFUL = 0.5  # a text drawn at a temperature above this is no context for the next


@dataclass(frozen=True)
class Segment:
    """What was said from `start` to `end`, in seconds.

    Attributes:
      text: beginning with a space where the language has them. tokens: its ids, timestamps included.
      temperature: at which it was drawn; 0 is the likeliest.
      log_probability: mean of a token, in its window. compression: how many times shorter zlib makes the window's text.
      no_speech: P(no speech) at the beginning of the window.
    """

    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    temperature: float
    log_probability: float
    compression: float
    no_speech: float


@dataclass(frozen=True)
class Transcript:
    """All that was said: `text`, `segments`, and the `language`, such as "en"."""

    text: str
    segments: tuple[Segment, ...]
    language: str


def transcribe(model: Model | Whisper, sound: Any, **options: Any) -> Transcript:
    """Writes what is said.

    Args:
      model: a Whisper that `load` gave. sound: (S,) floats between -1 and 1, at 16 kHz.
      options: those of `segments`.
    Raises:
      TypeError, ValueError: as `segments`.
    """
    whisper = model if isinstance(model, Whisper) else Whisper.of(model)
    stream = _Stream(whisper, sound, **options)
    found = tuple(stream)
    return Transcript("".join(segment.text for segment in found).strip(), found, stream.language)


def segments(
    model: Model | Whisper,
    sound: Any,
    *,
    timestamps: bool = False,
    language: str | None = None,
    translate: bool = False,
    temperatures: Sequence[float] = TEMPERATURES,
    remember: bool = True,
    key: jax.Array | None = None,
) -> Iterator[Segment]:
    """What is said, segment by segment, as soon as it is written.

    Args:
      model: a Whisper that `load` gave. sound: (S,) floats between -1 and 1, at 16 kHz.
      timestamps: whether segments are timed. Without, each window of 30 s is one segment; but sound longer than that is
        always timed, since words would be cut at the ends of windows.
      language: what is spoken, such as "de"; heard from the first window unless given. Models of English know no other.
      translate: into English, instead of writing what is said.
      temperatures: tried in turn while the text repeats itself or is unlikely; 0 takes the likeliest tokens.
      remember: whether a window's text is the context of the next.
      key: for what is drawn; `jax.random.key(0)` unless given.
    Raises:
      TypeError: the sound is no array of floats.
      ValueError: the model is no Whisper; the sound is empty, of several channels, or not between -1 and 1; the model
        does not know the language, or cannot translate; there are no temperatures.
    """
    whisper = model if isinstance(model, Whisper) else Whisper.of(model)
    return iter(
        _Stream(
            whisper,
            sound,
            timestamps=timestamps,
            language=language,
            translate=translate,
            temperatures=temperatures,
            remember=remember,
            key=key,
        )
    )


class _Stream:
    """A transcription while it goes on."""

    def __init__(
        self,
        whisper: Whisper,
        sound: Any,
        *,
        timestamps: bool = False,
        language: str | None = None,
        translate: bool = False,
        temperatures: Sequence[float] = TEMPERATURES,
        remember: bool = True,
        key: jax.Array | None = None,
    ):
        sound = require_sound("transcribe", sound)
        if not temperatures or any(not 0 <= τ < np.inf for τ in temperatures):
            raise ValueError(f"temperatures is {temperatures!r}, expected numbers of at least 0")
        if not whisper.tokens.languages and (translate or language not in (None, "en")):
            what = "cannot translate" if translate else f"does not know {language!r}"
            raise ValueError(f"the model knows English alone, and {what}")
        self.whisper, self.translate, self.remember = whisper, translate, remember
        self.temperatures = tuple(temperatures)
        self.key = jax.random.key(0) if key is None else key
        self.timed = timestamps or len(sound) > WINDOW_SAMPLES
        self.language = "en"
        self._language_token = self._token_of(language)
        self._frames = -(-len(sound) // HOP)
        self._mel = log_mel(pad_or_trim(sound, len(sound) + WINDOW_SAMPLES), whisper.n_mels)
        self._earlier: list[int] = []

    def _token_of(self, language: str | None) -> int | None:
        tokens, tokenizer = self.whisper.tokens, self.whisper.tokenizer
        if language is None or not tokens.languages:
            return None
        found = tokenizer.id_of(f"<|{language}|>")
        if found is None or not tokens.start < found <= tokens.start + tokens.languages:
            raise ValueError(f"language is {language!r}, which the model does not know; expected one such as 'en'")
        self.language = language
        return found

    def __iter__(self) -> Iterator[Segment]:
        at = window = 0
        while at < self._frames:
            frames = min(WINDOW_FRAMES, self._frames - at)
            cache = hear(self._mel[:, at : at + WINDOW_FRAMES], self.whisper.params, self.whisper.hyperparameters)
            advance = frames
            best = self._best(cache, jax.random.fold_in(self.key, window))
            if best is not None:
                found, advance = self._segments(best, at, frames)
                yield from found
            at, window = at + advance, window + 1

    def _best(self, cache: Any, key: jax.Array) -> "_Attempt | None":
        """The first text that is believed, or the last that was tried; None for silence."""
        prompt = self._prompt(cache)
        for i, temperature in enumerate(self.temperatures):
            decoded = decode_window(
                self.whisper,
                cache,
                prompt,
                timestamps=self.timed,
                temperature=temperature,
                key=jax.random.fold_in(key, i),
            )
            attempt = _Attempt.of(self.whisper, decoded, temperature)
            if attempt.is_silence:
                return None
            if attempt.is_believed:
                break
        return attempt

    def _prompt(self, cache: Any) -> list[int]:
        """What came before, as far as it fits, and what is asked for."""
        tokens = self.whisper.tokens
        prompt = [tokens.start]
        if tokens.languages:
            if self._language_token is None:
                self._language_token = language_of(self.whisper, cache)
                self.language = self.whisper.tokenizer.decode([self._language_token], show_special=True).strip("<|>")
            prompt += [self._language_token, tokens.translate if self.translate else tokens.transcribe]
        if not self.timed:
            prompt.append(tokens.no_timestamps)
        earlier = self._earlier[-(self.whisper.longest - 1) :]
        return [tokens.previous, *earlier, *prompt] if earlier else prompt

    def _segments(self, attempt: "_Attempt", at: int, frames: int) -> tuple[list[Segment], int]:
        """The segments of a window that begins at frame `at`, and by how many frames the next one is later."""
        found, advance = pieces(attempt.tokens, self.whisper.tokens, frames)
        offset, written = at / FRAMES_A_SECOND, []
        for piece in found:
            text = _text(self.whisper, piece.tokens)
            if text.strip() and piece.start < piece.end:
                times = (round(offset + piece.start, 2), round(offset + piece.end, 2))
                written.append(Segment(*times, text, piece.tokens, *attempt.measures))
        self._earlier += [token for segment in written for token in segment.tokens]
        if not self.remember or attempt.temperature > FORGETFUL:
            self._earlier = []
        return written, advance


@dataclass(frozen=True)
class _Attempt:
    """A window's text, drawn at a temperature."""

    tokens: tuple[int, ...]
    temperature: float
    log_probability: float
    compression: float
    no_speech: float

    @classmethod
    def of(cls, whisper: Whisper, decoded: Decoded, temperature: float) -> "_Attempt":
        tokens = tuple(int(token) for token in np.asarray(decoded.tokens)[: int(decoded.count)])
        text = _text(whisper, tokens).strip().encode()
        compression = len(text) / len(zlib.compress(text)) if text else 0.0
        mean = float(decoded.log_probability) / (len(tokens) + 1)
        return cls(tokens, float(temperature), mean, compression, float(decoded.no_speech))

    @property
    def measures(self) -> tuple[float, float, float, float]:
        return self.temperature, self.log_probability, self.compression, self.no_speech

    @property
    def is_silence(self) -> bool:
        return self.no_speech > SILENCE and self.log_probability <= UNLIKELY

    @property
    def is_believed(self) -> bool:
        return self.compression <= REPETITIVE and self.log_probability >= UNLIKELY


def _text(whisper: Whisper, tokens: Sequence[int]) -> str:
    return whisper.tokenizer.decode(np.array([t for t in tokens if t < whisper.tokens.end], int))
