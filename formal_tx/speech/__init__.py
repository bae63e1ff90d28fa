"""Speech: Whisper (2212.04356), from sound to text.

model = formal_tx.models.load("path/to/whisper")
transcribe(model, read_wav("speech.wav")).text
"""

from .audio import RATE, read_wav, resampled
from .front import FrontParameters, whisper_front
from .log_mel import log_mel, mel_filters, pad_or_trim
from .transcription import Segment, Transcript, segments, transcribe
from .vocabulary import WhisperTokens
from .whisper import Whisper, WhisperParameters, decode_window, encode_sound, hear, whisper_logits

__all__ = [
    "RATE",
    "FrontParameters",
    "Segment",
    "Transcript",
    "Whisper",
    "WhisperParameters",
    "WhisperTokens",
    "decode_window",
    "encode_sound",
    "hear",
    "log_mel",
    "mel_filters",
    "pad_or_trim",
    "read_wav",
    "resampled",
    "segments",
    "transcribe",
    "whisper_front",
    "whisper_logits",
]
