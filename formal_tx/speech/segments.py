"""What a window's tokens say of when something was said, and where the next window begins."""

from collections.abc import Sequence
from dataclasses import dataclass

from .log_mel import FRAMES_A_SECOND
from .vocabulary import SECONDS_A_TIMESTAMP, WhisperTokens

FRAMES_A_TIMESTAMP = round(SECONDS_A_TIMESTAMP * FRAMES_A_SECOND)


@dataclass(frozen=True)
class Piece:
    """A part of a window's tokens, from `start` to `end` in seconds since the window began."""

    start: float
    end: float
    tokens: tuple[int, ...]


def pieces(tokens: Sequence[int], special: WhisperTokens, frames: int) -> tuple[list[Piece], int]:
    """The segments in a window, and by how many frames the next window begins after this one.

    Tokens are cut wherever two timestamps stand side by side. What comes after the last such pair is not finished, and
    the next window begins there to hear it again; unless it ends with a timestamp of its own: then all was heard.

    Args:
      tokens: without prompt and end.
      special: where the timestamps are.
      frames: how many of the window's frames are sound.
    """
    is_stamp = [token >= special.first_timestamp for token in tokens]
    all_heard = is_stamp[-2:] == [False, True]
    cuts = [i for i in range(1, len(tokens)) if is_stamp[i - 1] and is_stamp[i]]
    if not cuts:
        stamps = [token for token in tokens if token >= special.first_timestamp]
        end = frames / FRAMES_A_SECOND
        if stamps and stamps[-1] != special.first_timestamp:
            end = special.seconds(stamps[-1])
        return [Piece(0.0, end, tuple(tokens))], frames
    if all_heard:
        cuts.append(len(tokens))
    found = []
    for first, last in zip([0, *cuts[:-1]], cuts, strict=True):
        part = tuple(tokens[first:last])
        found.append(Piece(special.seconds(part[0]), special.seconds(part[-1]), part))
    if all_heard:
        return found, frames
    unfinished = tokens[cuts[-1] - 1] - special.first_timestamp
    return found, max(1, FRAMES_A_TIMESTAMP * unfinished)
