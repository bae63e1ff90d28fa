"""Tokenizers that come with models."""

import numpy as np
import pytest

from formal_tx.models import PretrainedTokenizer, load, save
from tests.models.tiny import make, words


def test_a_tokenizer_comes_along_and_is_saved(tmp_path):
    make(tmp_path / "a")
    words(11).save(str(tmp_path / "a/tokenizer.json"))
    save(tmp_path / "b", load(tmp_path / "a"))
    tokenizer = load(tmp_path / "b").tokenizer
    ids = tokenizer.encode("w3 w1 w4")
    assert (ids.tolist(), ids.dtype, tokenizer.N_V) == ([3, 1, 4], np.int32, 11)
    assert tokenizer.decode(ids) == "w3 w1 w4"
    assert [each.tolist() for each in tokenizer.encode_batch(["w1", "w2 w3"])] == [[1], [2, 3]]
    assert (tokenizer.id_of("w7"), tokenizer.id_of("w77")) == (7, None)
    assert repr(tokenizer) == "PretrainedTokenizer(N_V=11)"


def test_a_vocabulary_may_be_padded_but_not_too_small(tmp_path):
    make(tmp_path)
    words(9).save(str(tmp_path / "tokenizer.json"))
    assert load(tmp_path).tokenizer.N_V == 9
    words(12).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="tokenizer has 12 tokens, and the vocabulary of the model only 11"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "line 1, column 2.*expected JSON"), ("{}", "is no tokenizer.json")]
)
def test_a_tokenizer_that_is_none_is_refused(tmp_path, text, message):
    make(tmp_path)
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ValueError, match=f"tokenizer.json.*{message}"):
        load(tmp_path)


def test_a_tokenizer_refuses_what_is_no_text_and_no_ids():
    tokenizer = PretrainedTokenizer(words(5))
    with pytest.raises(TypeError, match="a text is of type bytes, expected str"):
        tokenizer.encode(b"w1")
    with pytest.raises(ValueError, match=r"U\+D800 at position 1 is half of a surrogate pair"):
        tokenizer.encode("a\ud800")
    with pytest.raises(ValueError, match=r"ids have shape \(1, 2\), expected one axis"):
        tokenizer.decode([[1, 2]])
    with pytest.raises(TypeError, match="ids have dtype float64, expected integers"):
        tokenizer.decode([1.0])
    with pytest.raises(ValueError, match=r"ids\[1\] is -1, expected at least 0"):
        tokenizer.decode([1, -1])
