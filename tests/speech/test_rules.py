"""What may be written next: against the pseudocode, and by an automaton that knows nothing of either."""

import jax
import numpy as np
import pytest

from formal_tx.crosscheck.pseudocode import module
from formal_tx.speech import WhisperTokens
from formal_tx.speech.rules import Written, timestamp_rules, without
from tests.speech import tiny

N_V, END, NO_TIMESTAMPS, FIRST, LATEST = 29, 9, 14, 15, 4
TOKENS = WhisperTokens(END, 10, 0, 11, 12, 13, 13, NO_TIMESTAMPS, FIRST, N_V - 1)


def written(x):
    state = Written.nothing()
    for token in x:
        state = state.followed_by(np.int32(token), FIRST)
    return state


filtered = jax.jit(lambda logits, state: timestamp_rules(logits, state, TOKENS, LATEST))


def texts(seed: int, most: int = 12):
    """A text that obeys the rules, drawn at random, with the logits before each token."""
    random, x = np.random.default_rng(seed), []
    while len(x) < most:
        logits = random.normal(size=N_V) * 3
        logits[random.integers(END)] = -np.inf
        logits[END + 1 : NO_TIMESTAMPS] = -np.inf  # the tokens of prompts, which are suppressed
        yield x, logits.astype(np.float32)
        allowed = np.asarray(filtered(logits.astype(np.float32), written(x)))
        q = np.exp(allowed - allowed.max())
        token = int(random.choice(N_V, p=q / q.sum()))
        if token == END:
            return
        x = [*x, token]


def test_as_the_pseudocode():
    seen = set()
    for seed in range(60):
        for x, logits in texts(seed):
            expected = module("speech").timestamp_rules(logits.astype(float), x, END, NO_TIMESTAMPS, FIRST, LATEST)
            found = np.asarray(filtered(logits, written(x)))
            np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
            np.testing.assert_allclose(found, expected, rtol=1e-6)
            kinds = [token >= FIRST for token in x[-2:]]
            seen.add((len(x) == 0, *kinds))
    assert seen == {
        (True,),
        (False, True),
        (False, True, False),
        (False, False, True),
        (False, True, True),
        (False, False, False),
    }


def test_every_text_is_a_row_of_segments():
    """A start, then text, then an end, then a start that is not before it, and so on; the first within its limit."""
    finished = 0
    for seed in range(200):
        (*_, (x, _)) = texts(seed, most=20)
        where, latest = "start", FIRST
        for token in x:
            if token >= FIRST:
                assert where in ("start", "text")
                assert token >= latest + (where == "text")
                if where == "start" and latest == FIRST and token == x[0]:
                    assert token <= FIRST + LATEST
                where, latest = ("begun" if where == "start" else "start"), token
            else:
                assert where in ("begun", "text")
                assert token < END
                where = "text"
        finished += where == "start"
    assert finished > 20


def test_without():
    np.testing.assert_array_equal(without(jax.numpy.zeros(4), np.array([1, 3])), [0, -np.inf, 0, -np.inf])


@pytest.mark.parametrize(
    ("N_V", "eot", "sot", "expected"),
    [
        (51864, 50256, 50257, (0, 50357, 50358, 50360, 50361, 50362, 50363)),
        (51865, 50257, 50258, (99, 50358, 50359, 50361, 50362, 50363, 50364)),
        (51866, 50257, 50258, (100, 50359, 50360, 50362, 50363, 50364, 50365)),
    ],
)
def test_where_the_published_vocabularies_have_their_tokens(N_V, eot, sot, expected):
    found = WhisperTokens.of(tiny.hyperparameters(N_V=N_V, special_tokens=(eot, sot, eot)))
    assert (
        found.languages,
        found.translate,
        found.transcribe,
        found.previous,
        found.no_speech,
        found.no_timestamps,
        found.first_timestamp,
    ) == expected
    assert found.seconds(found.last_timestamp) == 30


def test_a_vocabulary_without_room_is_refused():
    with pytest.raises(ValueError, match="a vocabulary of 1505 tokens, with start 2 and end 1, is not Whisper's"):
        WhisperTokens.of(tiny.hyperparameters(N_V=1505, special_tokens=(1, 2, 1)))
