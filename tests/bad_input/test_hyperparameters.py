"""Hyperparameters: what they say when a number is no integer, too small, or does not divide another."""

from dataclasses import replace

import numpy as np
import pytest

from .cases import ED, D, E

SIZES = ("l_max", "H", "d_e", "d_mlp", "N_V", "d_attn", "d_mid")


@pytest.mark.parametrize("hyperparameters", [D, E, ED], ids=["d", "e", "ed"])
@pytest.mark.parametrize("value", [0, -1, 2.0, True, "2", np.float32(2)], ids=repr)
@pytest.mark.parametrize("name", SIZES)
def test_sizes(hyperparameters, name, value):
    with pytest.raises(ValueError, match=f"^{name} is ") as caught:
        replace(hyperparameters, **{name: value})
    assert str(caught.value) == f"{name} is {value!r}, expected an integer of at least 1"


@pytest.mark.parametrize("value", [-1, 1.0, False, None], ids=repr)
@pytest.mark.parametrize(("hyperparameters", "name"), [(D, "L"), (E, "L"), (ED, "L_enc"), (ED, "L_dec")])
def test_layers(hyperparameters, name, value):
    """None is legal (0 layers), -1 is not."""
    assert getattr(replace(hyperparameters, **{name: 0}), name) == 0
    with pytest.raises(ValueError, match=f"^{name} is {value!r}, expected an integer of at least 0$"):
        replace(hyperparameters, **{name: value})


@pytest.mark.parametrize("value", [0, -1, 2.0, True], ids=repr)
def test_d_f(value):
    with pytest.raises(ValueError, match=f"^d_f is {value!r}, expected an integer of at least 1$"):
        replace(E, d_f=value)


@pytest.mark.parametrize("kind", [type(D), type(E), type(ED)])
def test_H_that_does_not_divide(kind):
    sizes = {"l_max": 5, "H": 4, "d_e": 6, "d_mlp": 7, "N_V": 11}
    sizes |= {"L_enc": 1, "L_dec": 1} if kind is type(ED) else {"L": 1}
    with pytest.raises(ValueError, match=r"^H = 4 does not divide d_e = 6: choose another H, or give d_attn$"):
        kind(**sizes)
    with pytest.raises(ValueError, match=r"^H = 4 does not divide d_e = 6: choose another H, or give d_mid$"):
        kind(**sizes, d_attn=3)
    assert kind(**sizes, d_attn=3, d_mid=2).d_mid == 2


@pytest.mark.parametrize("value", [-1e-5, float("nan"), float("inf"), True, None, "small"], ids=repr)
def test_epsilon(value):
    with pytest.raises(ValueError, match=f"^epsilon is {value!r}, expected a finite number of at least 0$"):
        replace(D, epsilon=value)


def test_tied_embeddings_are_a_yes_or_no():
    with pytest.raises(ValueError, match=r"^tied_embeddings is 'no', expected True or False$"):
        replace(D, tied_embeddings="no")


def test_tied_embeddings_of_two_widths():
    with pytest.raises(ValueError, match=r"^tied embeddings need d_f = d_e, and d_f = 2, d_e = 6$"):
        replace(E, tied_embeddings=True)


def test_a_name_that_does_not_exist():
    with pytest.raises(TypeError, match="d_model"):
        replace(D, d_model=6)
