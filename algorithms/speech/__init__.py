"""How Whisper hears: the features of sound, their embeddings, and the rules of its timestamps.

In the style of the numbered algorithms, and to be read like them; the line numbers are ours.
"""

from .log_mel import log_mel, mel_filters
from .timestamp_rules import timestamp_rules
from .whisper_front import whisper_front

__all__ = ["log_mel", "mel_filters", "timestamp_rules", "whisper_front"]
