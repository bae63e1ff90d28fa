"""The character tokenizer: its vocabulary, the round trip, and what it refuses."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formal_tx.data import corpus
from formal_tx.data.characters import CharacterTokenizer

ANY_TEXT = st.text(st.characters(exclude_categories=[]))  # every code point, surrogates and beyond the BMP included


@pytest.fixture
def tokenizer():
    return CharacterTokenizer.from_text("banana é")


def test_ordinary_tokens_in_code_point_order_then_the_special_ones(tokenizer):
    assert tokenizer.characters == " abné"
    assert tokenizer.N_V == 8
    assert (tokenizer.mask_token, tokenizer.bos_token, tokenizer.eos_token) == (5, 6, 7)
    ids = tokenizer.encode("é ban")
    assert ids.dtype == np.int32
    assert ids.tolist() == [4, 0, 2, 1, 3]


@given(ANY_TEXT, ANY_TEXT)
def test_round_trip(text, more):
    tokenizer = CharacterTokenizer.from_text(text + more)
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int32
    assert ids.shape == (len(text),)
    assert np.all(ids < tokenizer.mask_token)
    assert tokenizer.decode(ids) == tokenizer.decode(ids, show_special=True) == text
    assert [tokenizer.characters[token] for token in ids] == list(text)


@given(ANY_TEXT)
def test_vocabulary_depends_on_the_set_of_characters_alone(text):
    tokenizer = CharacterTokenizer.from_text(text)
    assert tokenizer == CharacterTokenizer.from_text(text[::-1] + text)
    assert hash(tokenizer) == hash(CharacterTokenizer(tokenizer.characters))
    assert len(tokenizer.characters) == len(set(text))


def test_special_tokens_are_nothing_unless_asked_for(tokenizer):
    ids = [tokenizer.bos_token, 2, tokenizer.mask_token, 3, tokenizer.eos_token]
    assert tokenizer.decode(ids) == "bn"
    assert tokenizer.decode(np.array(ids), show_special=True) == "<bos>b<mask>n<eos>"


def test_encode_never_makes_a_special_token():
    tokenizer = CharacterTokenizer.from_text("<mask><bos><eos>")
    assert tokenizer.encode("<eos>").max() < tokenizer.mask_token
    assert tokenizer.decode(tokenizer.encode("<eos>")) == "<eos>"


def test_nothing_encodes_to_nothing(tokenizer):
    assert tokenizer.encode("").shape == (0,)
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("banZ", r"the character 'Z' \(U\+005A\) at position 3 is not among the 5 of this tokenizer"),
        ("~a\n", r"the character '~' \(U\+007E\) at position 0"),  # the first of two
        ("na\U0001f600", r"\(U\+1F600\) at position 2"),
    ],
)
def test_unknown_character(tokenizer, text, message):
    with pytest.raises(ValueError, match=message):
        tokenizer.encode(text)


@pytest.mark.parametrize("ids", [[0, 8], [0, -1], np.array([1, 2**40])], ids=["above", "negative", "far"])
def test_id_out_of_range(tokenizer, ids):
    with pytest.raises(ValueError, match=rf"the id {ids[1]} at position 1 is outside 0\.\.7"):
        tokenizer.decode(ids)


@pytest.mark.parametrize("ids", [[0.0, 1.0], [True, False], ["a"]], ids=["float", "bool", "str"])
def test_ids_that_are_no_integers(tokenizer, ids):
    with pytest.raises(TypeError, match="ids must be integers, not "):
        tokenizer.decode(ids)


@pytest.mark.parametrize("ids", [3, [[0, 1], [2, 3]]], ids=["scalar", "batch"])
def test_ids_of_another_shape(tokenizer, ids):
    with pytest.raises(ValueError, match=r"one axis \(ℓ,\), not the shape "):
        tokenizer.decode(ids)


@pytest.mark.parametrize("characters", ["ba", "aab"], ids=["order", "twice"])
def test_characters_are_distinct_and_in_order(characters):
    with pytest.raises(ValueError, match="distinct and in code point order"):
        CharacterTokenizer(characters)


def test_immutable(tokenizer):
    with pytest.raises(FrozenInstanceError):
        tokenizer.characters = "xyz"
    tokenizer.encode("ban")[:] = 0  # the caller's own array
    assert tokenizer.encode("ban").tolist() == [2, 1, 3]


def test_the_training_text_covers_the_held_out_text():
    tokenizer = CharacterTokenizer.from_text(corpus.english("train"))
    assert tokenizer.N_V == 67 + 3
    for split in ("train", "validation", "test"):
        text = corpus.english(split)
        assert tokenizer.decode(tokenizer.encode(text)) == text
