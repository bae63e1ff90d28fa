"""What StreamingLLM refuses of its sizes, by its message; the rest is in tests/systems/first_and_near."""

import re

import numpy as np
import pytest

from formal_tx.long_context import streaming_llm

Q = np.zeros((6, 2), np.float32)
SIZES = {"sinks": 2, "window": 3}
GOOD = {"streaming_attention": {"Q": Q, "K": Q, "V": Q, **SIZES}, "streaming_sight": SIZES}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    ("size", "value", "at_least"),
    [
        ("sinks", -1, 0),
        ("sinks", 1.0, 0),
        ("sinks", True, 0),
        ("sinks", None, 0),
        ("window", 0, 1),
        ("window", -3, 1),
        ("window", None, 1),
        ("window", np.inf, 1),
    ],
)
def test_sizes(name, size, value, at_least):
    message = f"{name}: {size} is {value!r}, expected an integer of at least {at_least}"
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(streaming_llm, name)(**GOOD[name] | {size: value})


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("size", ["window"])
def test_what_has_to_be_said(name, size):
    arguments = {key: value for key, value in GOOD[name].items() if key != size}
    with pytest.raises(TypeError, match=f"missing .*argument: '{size}'"):
        getattr(streaming_llm, name)(**arguments)


@pytest.mark.parametrize(
    ("S", "error", "message"),
    [
        (np.zeros((2, 0)), ValueError, "S has shape (2, 0), expected (..., ℓ) with at least one score"),
        (1.0, ValueError, "S has shape ()"),
        (np.zeros(3, int), TypeError, "S has dtype int64, expected a floating dtype"),
        (None, TypeError, "S is None, expected an array of numbers"),
        (np.array([0.0, np.nan]), ValueError, "S holds nan, first at index [1]"),
    ],
)
def test_softmax_off_by_one(S, error, message):
    with pytest.raises(error, match=re.escape(f"softmax_off_by_one: {message}")):
        streaming_llm.softmax_off_by_one(S)
