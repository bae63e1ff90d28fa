"""The embedded corpus is what it says: aligned, clean, split by whole books, and checked before it is believed."""

import hashlib
import re
import unicodedata
from importlib.resources import files

import pytest

from formal_tx.data import corpus

SPLITS = ("train", "validation", "test")
LETTER_OR_PUNCTUATION = re.compile(r"(?:[^\W\d_]|[ !(),.:;?¡¿‘’“”—-])+")


@pytest.fixture(scope="module")
def by_name():
    """Every verse under its name, as "John 3:16"."""
    return {f"{v.book} {v.chapter}:{v.verse}": v for split in SPLITS for v in corpus.verses(split)}


def five_word_sequences(text):
    words = re.findall(r"[\w’]+", text.lower())
    return set(zip(*(words[start:] for start in range(5)), strict=False))


def test_counts(by_name):
    assert {split: len(corpus.verses(split)) for split in SPLITS} == {"train": 28156, "validation": 1286, "test": 1614}
    assert len(by_name) == 31056, "a key comes twice"
    assert len({verse.book for verse in by_name.values()}) == 66


def test_known_verses(by_name):
    assert by_name["Genesis 1:1"][3:] == (
        "In the beginning, God created the heavens and the earth.",
        "EN el principio crió Dios los cielos y la tierra.",
    )
    assert by_name["John 3:16"][3:] == (
        "For God so loved the world, that he gave his only born Son, that whoever believes in him should not perish, "
        "but have eternal life.",
        "Porque de tal manera amó Dios al mundo, que ha dado á su Hijo unigénito, para que todo aquel que en él cree, "
        "no se pierda, mas tenga vida eterna.",
    )
    assert by_name["John 11:35"][3:] == ("Jesus wept.", "Y lloró Jesús.")


@pytest.mark.parametrize(
    ("name", "english", "spanish"),
    [
        ("Numbers 13:16", "Hoshea the son of Nun Joshua", "á Oseas hijo de Nun"),
        ("I Samuel 24:4", "cut off the skirt of Saul’s robe", "cortó la orilla del manto de Saúl"),
        ("I Kings 22:48", "at Ezion Geber", "en Ezion-geber"),
        ("II Chronicles 33:21", "Amon was twenty-two years old", "De veinte y dos años era Amón"),
        ("Job 38:41", "Who provides for the raven", "¿Quién preparó al cuervo"),
        ("Job 39:26", "the hawk soars", "¿Vuela el gavilán"),
        ("Job 40:15", "See now behemoth", "He aquí ahora behemoth"),
        ("Hosea 12:11", "In Gilgal they sacrifice bulls", "en Gilgal sacrificaron bueyes"),
        ("Jonah 1:17", "a huge fish", "un gran pez"),
        ("II Corinthians 13:14", "the fellowship of the Holy Spirit", "la participación del Espíritu Santo"),
        ("Psalms 3:1", "A Psalm by David, when he fled", "Salmo de David, cuando huía"),
    ],
)
def test_aligned_where_the_editions_number_or_head_their_verses_differently(by_name, name, english, spanish):
    assert english in by_name[name].english
    assert spanish in by_name[name].spanish


def test_nothing_but_the_words_of_the_verse(by_name):
    for name, verse in by_name.items():
        for text in (verse.english, verse.spanish):
            assert LETTER_OR_PUNCTUATION.fullmatch(text), f"{name} is empty or holds markup: {text!r}"
            assert text == " ".join(text.split()), f"{name} has strange spaces: {text!r}"
            assert unicodedata.is_normalized("NFC", text), name
            assert not re.search(r" [,.;:?!)’”]|[(¿¡‘“—] |[,;.!?”][^\W\d_]|[a-z][A-Z]", text), f"{name}: {text!r}"
    revelation_ends = by_name["Revelation of John 22:21"]
    assert revelation_ends.english.endswith("be with all the saints. Amen."), "a glossary follows in the module"
    assert by_name["Hebrews 13:25"].spanish.endswith("Amén."), "a subscription follows in the module"
    assert "Beloved" not in by_name["Song of Solomon 1:2"].english, "the name of the speaker"


def test_words_around_a_note_or_an_addition_are_apart(by_name):
    assert "the Lord Yahweh says about Edom" in by_name["Obadiah 1:1"].english
    assert "hay allí también bdelio" in by_name["Genesis 2:12"].spanish
    assert "sácalo" in by_name["Genesis 19:12"].spanish, "an enclitic pronoun stays on its verb"


def test_splits_are_disjoint_whole_books():
    books = {split: {verse.book for verse in corpus.verses(split)} for split in SPLITS}
    assert books["validation"] == set(corpus.HELD_OUT["validation"])
    assert books["test"] == set(corpus.HELD_OUT["test"])
    assert sum(map(len, books.values())) == len(set.union(*books.values())) == 66


@pytest.mark.parametrize("split", corpus.HELD_OUT)
@pytest.mark.parametrize("text", [corpus.english, corpus.spanish])
def test_training_books_do_not_retell_the_held_out_ones(split, text):
    trained = set().union(*map(five_word_sequences, text("train").splitlines()))
    held_out = [five_word_sequences(line) for line in text(split).splitlines()]
    retold = sum(len(sequences & trained) * 2 >= len(sequences) > 0 for sequences in held_out)
    assert retold / len(held_out) < 0.003


@pytest.mark.parametrize("split", SPLITS)
def test_texts_and_pairs_are_the_verses(split):
    verses = corpus.verses(split)
    assert corpus.english(split).split("\n") == [*(verse.english for verse in verses), ""]
    assert corpus.spanish(split).split("\n") == [*(verse.spanish for verse in verses), ""]
    assert corpus.pairs(split) == [verse[3:] for verse in verses]
    assert corpus.verses(split) is verses, "read once"


def test_order_is_that_of_the_books():
    verses = corpus.verses()
    assert [verses[0][:3], verses[-1][:3]] == [("Genesis", 1, 1), ("Jude", 1, 25)]
    books = list(dict.fromkeys(verse.book for verse in verses))
    assert list(verses) == sorted(verses, key=lambda verse: (books.index(verse.book), verse.chapter, verse.verse))


def test_train_is_the_default():
    assert corpus.verses() == corpus.verses("train")
    assert (corpus.english(), corpus.spanish()) == (corpus.english("train"), corpus.spanish("train"))
    assert corpus.pairs() == corpus.pairs("train")


@pytest.mark.parametrize("ask", [corpus.verses, corpus.english, corpus.spanish, corpus.pairs])
def test_unknown_split(ask):
    with pytest.raises(ValueError, match="no split 'dev'; the splits are 'train', 'validation', 'test'"):
        ask("dev")


def test_a_damaged_file_is_refused(monkeypatch):
    packed = files("formal_tx.data").joinpath("verses.tsv.xz").read_bytes()
    damaged = packed[:-1] + bytes([packed[-1] ^ 1])
    with pytest.raises(ValueError, match=f"should be {corpus.SHA256} and is {hashlib.sha256(damaged).hexdigest()}"):
        corpus.unpack(damaged)
    monkeypatch.setattr(corpus, "SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"should be 0{64} and is [0-9a-f]{64}; reinstall formal-tx"):
        corpus.unpack(packed)


def test_provenance_states_the_same_facts():
    provenance = files("formal_tx.data").joinpath("PROVENANCE.md").read_text("utf-8")
    facts = [corpus.SHA256, *(f"{len(corpus.verses(split)):,}" for split in SPLITS)]
    facts += [", ".join(books) for books in corpus.HELD_OUT.values()]
    assert [fact for fact in facts if fact not in provenance] == []
