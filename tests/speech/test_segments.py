"""From a window's tokens to segments: by the examples of the released code's comments, and in general."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formal_tx.speech import WhisperTokens
from formal_tx.speech.segments import pieces

FIRST = 100
TOKENS = WhisperTokens(50, 51, 0, 60, 61, 63, 64, 99, FIRST, FIRST + 1500)


def at(seconds: float) -> int:
    """The timestamp of a time."""
    return FIRST + round(seconds / 0.02)


@pytest.mark.parametrize(
    ("tokens", "expected", "advance"),
    [
        # No timestamps: all of the window is one segment.
        ([1, 2], [(0, 25, [1, 2])], 2500),
        ([], [(0, 25, [])], 2500),
        # One at the end: all was heard, and it ended then.
        ([at(0), 1, at(2)], [(0, 2, [at(0), 1, at(2)])], 2500),
        # A start alone says nothing of the end.
        ([at(0), 1], [(0, 25, [at(0), 1])], 2500),
        # Two segments, of which the second ends with the text.
        ([at(0), 1, at(2), at(3), 2, at(5)], [(0, 2, [at(0), 1, at(2)]), (3, 5, [at(3), 2, at(5)])], 2500),
        # The second is not finished: the next window begins where it does.
        ([at(0), 1, at(2), at(3), 2], [(0, 2, [at(0), 1, at(2)])], 200),
        # It ends with a start: the next window begins there.
        ([at(1), 1, at(2), at(2)], [(1, 2, [at(1), 1, at(2)])], 200),
    ],
)
def test_examples(tokens, expected, advance):
    found, by = pieces(tokens, TOKENS, frames=2500)
    assert [(round(p.start, 6), round(p.end, 6), list(p.tokens)) for p in found] == expected
    assert by == advance


@given(st.lists(st.integers(0, 9) | st.integers(FIRST, FIRST + 1500), max_size=30), st.integers(1, 3000))
def test_the_next_window_is_always_later(tokens, frames):
    found, by = pieces(tokens, TOKENS, frames)
    assert by >= 1
    assert [token for piece in found for token in piece.tokens] == tokens[: sum(len(p.tokens) for p in found)]
