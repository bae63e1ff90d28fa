"""What LM-Infinite refuses of its sizes, by its message; the rest is in tests/systems/first_and_near."""

import re

import numpy as np
import pytest

from formal_tx.long_context import lm_infinite

Q = np.zeros((6, 2), np.float32)
SIZES = {"first": 2, "window": 3, "ceiling": 3}
GOOD = {"lambda_attention": {"Q": Q, "K": Q, "V": Q, **SIZES}, "lambda_sight": SIZES}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    ("size", "value", "at_least"),
    [
        ("first", -1, 0),
        ("first", 1.0, 0),
        ("first", True, 0),
        ("window", 0, 1),
        ("window", -3, 1),
        ("window", None, 1),
        ("ceiling", -1, 0),
        ("ceiling", None, 0),
        ("ceiling", np.inf, 0),
    ],
)
def test_sizes(name, size, value, at_least):
    message = f"{name}: {size} is {value!r}, expected an integer of at least {at_least}"
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(lm_infinite, name)(**GOOD[name] | {size: value})


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("size", ["window", "ceiling"])
def test_what_has_to_be_said(name, size):
    arguments = {key: value for key, value in GOOD[name].items() if key != size}
    with pytest.raises(TypeError, match=f"missing .*argument: '{size}'"):
        getattr(lm_infinite, name)(**arguments)
