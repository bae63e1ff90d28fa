"""The trained model as the page has it."""

import base64
import dataclasses

import jax
import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters, init_d_transformer
from formal_tx.book import demo_model, page
from formal_tx.crosscheck import find
from formal_tx.crosscheck.layout import to_paper
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.runs.model_directory import Model, save_model


@pytest.fixture(scope="module")
def model():
    """A decoder that has not been trained."""
    tokenizer = Tokenizer.train("characters", ["in the beginning"])
    hp = DTransformerHyperparameters(l_max=8, L=1, H=2, d_e=4, d_mlp=6, N_V=tokenizer.N_V)
    return Model("decoder", init_d_transformer(jax.random.key(0), hp), hp, tokenizer, {"about": "not trained"})


def test_the_arrays_are_the_parameters_in_half_precision(model):
    data = demo_model.packed(model)
    numbers = np.frombuffer(base64.b64decode(data["weights"]), "<f2")
    assert sum(int(np.prod(array["shape"])) for array in data["arrays"]) == len(numbers)
    first = data["arrays"][0]
    assert first == {"name": "W_e", "shape": [4, model.tokenizer.N_V]}
    expected = to_paper(model.params).W_e.astype(np.float16)
    np.testing.assert_array_equal(numbers[: expected.size].reshape(expected.shape), expected)


def test_the_characters_are_those_of_the_tokenizer(model):
    text = "the beginning"
    ids = [demo_model.characters(model.tokenizer).index(c) for c in text]
    assert ids == list(model.tokenizer.encode(text))


def test_the_page_has_it(model):
    text = page([find(6)], model)
    assert 'id="data-model"' in text
    assert "not trained" in text
    assert 'data-name="layer 1, head 2"' in text


def test_a_model_directory_is_read(model, tmp_path):
    save_model(tmp_path, dataclasses.replace(model, configuration={}))
    read = demo_model.given_model(tmp_path)
    assert demo_model.packed(read) == demo_model.packed(model)


@pytest.mark.slow
def test_training_is_the_same_twice():
    with jax.numpy_dtype_promotion("standard"):  # optax wants it
        one, other = (demo_model.packed(demo_model.demo_model(lambda what: None, updates=20)) for _ in range(2))
    assert one == other


def test_a_tokenizer_of_more_than_characters_is_refused():
    tokenizer = Tokenizer.train("words", ["in the beginning"], 7)
    with pytest.raises(ValueError, match=r"token \d+ is '.*', expected a character"):
        demo_model.characters(tokenizer)


def test_too_large_a_model_is_refused(model, tmp_path, monkeypatch):
    save_model(tmp_path, dataclasses.replace(model, configuration={}))
    monkeypatch.setattr(demo_model, "_MOST_NUMBERS", 100)
    with pytest.raises(ValueError, match=r"the model has [\d,]+ parameters, expected at most 100"):
        demo_model.given_model(tmp_path)
