"""Where Whisper's vocabulary has the tokens that are no text, and which text it is not to write."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..hyperparameters import EDTransformerHyperparameters

SECONDS_A_TIMESTAMP = 0.02


@dataclass(frozen=True)
class WhisperTokens:
    """The ids of tokens that are no text. All below `end` are text, and all from `first_timestamp` on are timestamps.

    Attributes:
      end: ends a text. start: begins one.
      languages: how many languages have a token, from `start` + 1 on; 0 if the model knows English alone.
      translate, transcribe: the tasks. previous: before the text of the window before.
      no_speech: stands for silence, right after `start`. no_timestamps: in a prompt, that none are to be written.
      first_timestamp: 0.00; `last_timestamp` is the end of the window.
    """

    end: int
    start: int
    languages: int
    translate: int
    transcribe: int
    previous: int
    no_speech: int
    no_timestamps: int
    first_timestamp: int
    last_timestamp: int

    @classmethod
    def of(cls, hyperparameters: EDTransformerHyperparameters) -> "WhisperTokens":
        """Those of a vocabulary, which follow from its size: there is a timestamp for each position of the encoder.

        Raises:
          ValueError: there is no room for them.
        """
        hp = hyperparameters
        first = hp.N_V - (hp.l_max_z or hp.l_max) - 1
        translate, start = first - 6, hp.bos_token
        if not 0 <= hp.eos_token < start < translate:
            raise ValueError(
                f"a vocabulary of {hp.N_V} tokens, with start {start} and end {hp.eos_token}, is not Whisper's: its "
                f"last {hp.N_V - first} are timestamps, and six for prompts stand before them"
            )
        languages = translate - start - 1
        # Models of English alone have the tokens of 99 languages all the same, and never learnt them.
        knows_one = hp.N_V == _ENGLISH
        return cls(
            end=hp.eos_token,
            start=start,
            languages=0 if knows_one else languages,
            translate=translate,
            transcribe=translate + 1,
            previous=translate + 3,
            no_speech=translate + 4,
            no_timestamps=first - 1,
            first_timestamp=first,
            last_timestamp=hp.N_V - 1,
        )

    def seconds(self, token: int) -> float:
        """The time of a timestamp, since the window began."""
        return (token - self.first_timestamp) * SECONDS_A_TIMESTAMP


_ENGLISH = 51864

_SYMBOLS = (
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *("<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("'),
    *("((", "))", "(((", ")))", "[[", "]]", "{{", "}}", "♪♪", "♪♪♪"),
)
_NOTES = "♩♪♫♬♭♮♯"


def suppressed(tokens: WhisperTokens, config: Mapping[str, Any], tokenizer: Any) -> tuple[int, ...]:
    """The ids that are never written: those for prompts, and symbols that are not spoken.

    They are `suppress_tokens` of the configuration. If there are none, they are found as the released code finds them.
    """
    given = config.get("suppress_tokens")
    if given:
        return tuple(sorted(set(given)))
    prompts = {tokens.start, *range(tokens.translate, tokens.no_timestamps)}
    return tuple(sorted(prompts if tokenizer is None else prompts | _not_spoken(tokenizer)))


def _not_spoken(tokenizer: Any) -> set[int]:
    """Symbols that are one token, and the first byte of musical notes, which are several; each with a space or without.

    A dash and an apostrophe are not to begin a word: that is how lines of dialogue are marked.
    """

    def encoded(text: str) -> list[int]:
        return tokenizer.encode(text, special=False).tolist()

    found = {encoded(" -")[0], encoded(" '")[0]}
    for symbol in (*_SYMBOLS, *_NOTES):
        for ids in (encoded(symbol), encoded(f" {symbol}")):
            if len(ids) == 1 or symbol in _NOTES:
                found.add(ids[0])
    return found


def suppressed_at_first(tokens: WhisperTokens, config: Mapping[str, Any], tokenizer: Any) -> tuple[int, ...]:
    """The ids that no text begins with: a space alone, and the end. `begin_suppress_tokens` of the configuration."""
    given = config.get("begin_suppress_tokens")
    if given:
        return tuple(sorted(set(given)))
    space = [] if tokenizer is None else tokenizer.encode(" ", special=False).tolist()
    return tuple(sorted({*space, tokens.end}))
