"""Tokenizers: the vocabulary, the round trip, streaming, files."""

import hashlib
import json
import subprocess
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import tokenizers
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from formal_tx.data import corpus, cutting
from formal_tx.data.byte_level import BYTES
from formal_tx.data.stream_decoder import StreamDecoder
from formal_tx.data.tokenizer import Tokenizer

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
A_FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
SENTENCE = "In the land of Uz, he said: “Yahweh gave, and Yahweh has taken away.”\nSo Esther… fasted.\n"


def test_the_vocabulary_ends_as_the_papers(any_tokenizer):
    t = any_tokenizer
    assert [t.piece(i) for i in (t.mask_token, t.bos_token, t.eos_token)] == ["<mask>", "<bos>", "<eos>"]
    assert (t.mask_token, t.bos_token, t.eos_token) == (t.N_V - 3, t.N_V - 2, t.N_V - 1)
    assert len({t.piece(i) for i in range(t.N_V)}) == t.N_V


def test_sizes_are_those_asked_for(trained):
    assert [trained(kind).N_V for kind in ("words", "bpe", "wordpiece", "unigram")] == [500, 600, 500, 400]
    assert trained("bytes").N_V == 259
    assert len(set(corpus.english("validation"))) == trained("characters").N_V - 3


def test_what_it_was_trained_on_has_no_special_token_and_few_unknown(any_tokenizer):
    t = any_tokenizer
    ids = t.encode(corpus.english("validation"))
    assert ids.dtype == np.int32
    assert ids.min() >= 0
    assert ids.max() < t.mask_token
    if t.has_unknown:
        assert t.unknown_token == t.N_V - 4
        assert (ids == t.unknown_token).mean() < (0.25 if t.kind == "words" else 1e-3)
    else:
        assert t.unknown_token is None


def test_kinds_are_told_from_the_file(any_tokenizer, trained):
    assert trained(any_tokenizer.kind) is any_tokenizer
    assert repr(any_tokenizer) == f"Tokenizer(kind='{any_tokenizer.kind}', N_V={any_tokenizer.N_V})"


@given(ANY_TEXT)
@A_FIXTURE
def test_bytes_and_bpe_round_trip_any_text(trained, text):
    for kind in ("bytes", "bpe"):
        assert trained(kind).decode(trained(kind).encode(text)) == text
    assert trained("bytes").encode(text).tolist() == list(text.encode())


@given(ANY_TEXT, ANY_TEXT)
@A_FIXTURE
def test_characters_round_trip_what_they_know(text, more):
    assume(text)
    t = Tokenizer.train("characters", [more, text])
    alphabet = sorted(set(text + more))
    assert len(alphabet) == t.N_V - 3
    assert t.encode(text).tolist() == [alphabet.index(character) for character in text]
    assert t.decode(t.encode(text)) == t.decode(t.encode(text), show_special=True) == text


def test_unigram_keeps_spaces_and_lines(trained):
    assert trained("unigram").decode(trained("unigram").encode("  the  king \n\n said")) == "  the  king \n\n said"


@pytest.mark.parametrize("text", ["<bos>", "a<mask><eos>", "<unknown> and <bos> the"])
def test_text_never_becomes_a_special_token(any_tokenizer, text):
    t = Tokenizer.train("characters", [text]) if any_tokenizer.kind == "characters" else any_tokenizer
    assert (t.encode(text) < t.mask_token).all()


def test_a_text_full_of_special_names_makes_an_ordinary_vocabulary():
    text = ["x<bos>y <eos> <mask> <bos>\n" * 20, corpus.english("validation")[:20_000]]
    for kind, N_V in (("bpe", 400), ("unigram", 200), ("wordpiece", 300), ("words", 300)):
        t = Tokenizer.train(kind, text, N_V)
        assert (t.encode(text[0]) < t.mask_token).all()


def test_special_tokens_are_nothing_unless_asked_for(any_tokenizer):
    t = any_tokenizer
    ids = [t.bos_token, *t.encode("the"), t.mask_token, t.eos_token]
    assert t.decode(ids) == "the"
    shown = t.decode(np.array(ids), show_special=True)
    assert [shown.count(name) for name in ("<bos>", "<mask>", "<eos>", "the")] == [1, 1, 1, 1]


def test_nothing_is_nothing(any_tokenizer):
    assert any_tokenizer.encode("").shape == (0,)
    assert any_tokenizer.encode("").dtype == np.int32
    assert any_tokenizer.decode([]) == ""
    assert any_tokenizer.encode_batch([]) == []


def test_lower_case_words_as_they_are(trained):
    t = trained("words")
    ids = t.encode("The KING said, “zyzzyva”")
    assert [t.piece(i) for i in ids] == ["the", "king", "said", ",", "“", "<unknown>", "”"]
    assert t.decode(ids[:3]) == "the king said"


def test_accents_stay():
    t = Tokenizer.train("wordpiece", [corpus.spanish("validation")], 500)
    text = "dijo el señor á él"
    assert t.decode(t.encode(text)) == text


def test_a_batch_is_its_texts(any_tokenizer, monkeypatch):
    texts = [*SENTENCE.split(" "), "", corpus.english("validation")[:5000]]
    texts = [text for text in texts if set(text) <= set(corpus.english("validation"))]
    alone = [any_tokenizer.encode(text) for text in texts]
    monkeypatch.setattr(cutting, "GROUP", 100)
    for ids, expected in zip(any_tokenizer.encode_batch(texts), alone, strict=True):
        np.testing.assert_array_equal(ids, expected)


WORD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)
GAP = st.sampled_from([" ", "\n", " ", "\n", "  ", "\n\n", " \n", "\t", "\r\n", "\u00a0", "\u3000"])


@given(st.lists(st.tuples(st.one_of(WORD, st.sampled_from(["'s", "the", "12", "..."])), GAP), max_size=30))
@A_FIXTURE
def test_cutting_a_text_does_not_change_its_tokens(trained, pieces):
    """With parts of 24 characters in the place of 16,384, wherever there is a place to cut."""
    text = "".join(word + gap for word, gap in pieces)
    parts = list(cutting.parts(text, 24))
    assert "".join(parts) == text
    assert all(len(part) <= 24 for part in parts)
    assume(all(cutting.cut(text[sum(map(len, parts[:i])) :], 24) != 24 for i in range(len(parts) - 1)))
    for kind in ("bytes", "bpe", "words", "wordpiece", "unigram"):
        together = np.concatenate([trained(kind).encode(part) for part in parts])
        np.testing.assert_array_equal(together, trained(kind).encode(text), kind)


def test_spans_say_where_tokens_stand(any_tokenizer):
    text = "In the land, said Esther." if any_tokenizer.kind == "characters" else SENTENCE
    ids, spans = any_tokenizer.encode_with_spans(text)
    np.testing.assert_array_equal(ids, any_tokenizer.encode(text))
    assert spans.shape == (len(ids), 2)
    assert spans[0, 0] == 0
    if any_tokenizer.kind == "words":
        assert [text[a:b] for a, b in spans[:5]] == ["In", "the", "land", "of", "Uz"]
    assert any_tokenizer.encode_with_spans("")[1].shape == (0, 2)


def test_bytes_that_are_no_character_are_shown_as_bytes(trained):
    t = trained("bytes")
    assert [t.piece(i) for i in t.encode("aé")] == ["a", "<C3>", "<A9>"]
    assert t.bytes_of(0xE2) == b"\xe2"
    assert t.bytes_of(t.bos_token) == b""
    assert trained("words").bytes_of(0) is None


def test_byte_level_characters_are_those_of_the_library():
    assert set(BYTES) == set(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    for byte in range(128, 192):  # é, ú, …: the second byte of a character
        text = bytes([0xC3, byte]).decode()
        splitting = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        ((written, _),) = splitting.pre_tokenize_str(text)
        assert bytes(BYTES[character] for character in written) == text.encode()


def streamed(tokenizer, ids):
    decoder = StreamDecoder(tokenizer)
    return [*(decoder.push(i) for i in ids), decoder.flush()]


@given(st.data())
@A_FIXTURE
def test_what_is_streamed_is_what_is_decoded(any_tokenizer, data):
    """Of any tokens, special ones and broken characters included."""
    ids = data.draw(st.lists(st.integers(0, any_tokenizer.N_V - 1), max_size=20))
    assert "".join(streamed(any_tokenizer, ids)) == any_tokenizer.decode(ids)


def test_a_character_waits_for_its_last_byte(trained):
    assert streamed(trained("bytes"), list("a€b".encode())) == ["a", "", "", "€", "b", ""]
    assert streamed(trained("bytes"), list("a€".encode()[:-1])) == ["a", "", "", "\ufffd"]
    assert "".join(streamed(trained("bpe"), trained("bpe").encode("naïve “€”"))) == "naïve “€”"


def test_the_same_file_is_the_same_tokenizer(any_tokenizer, tmp_path):
    any_tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded == any_tokenizer
    assert hash(loaded) == hash(any_tokenizer)
    assert loaded.fingerprint == hashlib.sha256((tmp_path / "tokenizer.json").read_bytes()).hexdigest()
    np.testing.assert_array_equal(loaded.encode("the land"), any_tokenizer.encode("the land"))
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


def test_the_file_is_one_of_the_tokenizers_library(any_tokenizer, tmp_path):
    any_tokenizer.save(tmp_path / "tokenizer.json")
    other = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = "the land of the living"
    assert other.encode(text).ids == any_tokenizer.encode(text).tolist()
    assert other.token_to_id("<eos>") == any_tokenizer.eos_token
    assert other.decode(any_tokenizer.encode(text).tolist()) == any_tokenizer.decode(any_tokenizer.encode(text))


def test_immutable(any_tokenizer):
    with pytest.raises(FrozenInstanceError):
        any_tokenizer.json = "{}"
    any_tokenizer.encode("the")[:] = 0  # the caller's own array
    assert any_tokenizer.decode(any_tokenizer.encode("the")) == "the"


TRAINED_ELSEWHERE = """
import json, sys
from formal_tx.data import corpus
from formal_tx.data.tokenizer import Tokenizer
text = corpus.english("validation")
print(json.dumps([
    Tokenizer.train(kind, iter([text[:70_000], text[70_000:]]), N_V).fingerprint
    for kind, N_V in json.loads(sys.argv[1])
]))
"""


def test_the_same_text_makes_the_same_vocabulary_in_every_process():
    """Some of the library's trainers number tokens as a hash table happens to be ordered, and sum in that order."""
    kinds = [["words", 3000], ["bpe", 3000], ["wordpiece", 3000], ["unigram", 2000]]
    text = corpus.english("validation")
    here = [Tokenizer.train(kind, [text[:70_000], text[70_000:]], N_V).fingerprint for kind, N_V in kinds]
    for threads in ("1", "3"):
        done = subprocess.run(
            [sys.executable, "-c", TRAINED_ELSEWHERE, json.dumps(kinds)],
            env={"RAYON_NUM_THREADS": threads, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == here


def test_the_training_text_covers_the_held_out_text():
    t = Tokenizer.train("characters", [corpus.english("train")])
    assert t.N_V == 67 + 3
    for split in ("train", "validation", "test"):
        text = corpus.english(split)
        assert t.decode(t.encode(text)) == text
