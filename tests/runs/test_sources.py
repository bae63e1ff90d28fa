"""Where text comes from, and that what is trained on and what is held out are the whole text, once."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formal_tx.data import corpus
from formal_tx.data.reading import Piece
from formal_tx.runs.preparation import prepare, reopen
from formal_tx.runs.sources import Documents, Pairs, Sources, since, until
from tests.runs.running import settings, write_pairs, write_text

pieces = st.lists(st.builds(Piece, st.text(min_size=1, max_size=6), st.booleans()), max_size=8)


def documents(some):
    """The documents that pieces make up, the last one ended."""
    found, text = [], ""
    for piece in some:
        text += piece.text
        if piece.ends_document:
            found, text = [*found, text], ""
    return [*found, text] if text else found


@given(pieces, st.integers(0, 60))
def test_until_and_since_are_the_text_cut_in_two(some, characters):
    first, rest = list(until(some, characters)), list(since(some, characters))
    whole = "".join(piece.text for piece in some)
    assert "".join(piece.text for piece in first) == whole[:characters]
    assert "".join(piece.text for piece in rest) == whole[characters:]
    assert all(piece.text for piece in [*first, *rest])


@given(pieces, st.integers(0, 60))
def test_a_cut_divides_one_document_and_no_other(some, characters):
    before, after = documents(until(some, characters)), documents(since(some, characters))
    whole = documents(some)
    if len(before) + len(after) == len(whole):
        assert before + after == whole
    else:
        cut = len(before) - 1
        assert [*before[:cut], before[cut] + after[0], *after[1:]] == whole


@pytest.mark.parametrize("share", [0.01, 0.25, 0.9])
def test_the_end_of_a_users_text_is_held_out(tmp_path, share):
    files = (write_text(tmp_path / "a.txt", 1000), write_text(tmp_path / "b.txt", 3000))
    train, held_out = Documents(Sources(files), 16).split(share)
    train, held_out = ("".join(piece.text for piece in part) for part in (train, held_out))
    assert train + held_out == corpus.english()[:1000] + corpus.english()[:3000]
    assert len(held_out) == round(4000 * share)


@pytest.mark.parametrize("share", [0.01, 0.25])
def test_the_last_pairs_of_a_user_are_held_out(tmp_path, share):
    file = write_pairs(tmp_path / "pairs.tsv", 20)
    train, held_out = map(list, Pairs(Sources((file,)), 16).split(share))
    written = [tuple(line.split("\t")) for line in (tmp_path / "pairs.tsv").read_text("utf-8").splitlines()]
    assert train + held_out == written
    assert len(held_out) == max(round(20 * share), 1)


def test_files_that_are_named_are_held_out_whole_and_not_in_the_tokenizer(tmp_path):
    files = {name: str(tmp_path / name) for name in ("train.txt", "held.txt")}
    (tmp_path / "train.txt").write_text("the text to train on")
    (tmp_path / "held.txt").write_text("other text")
    text = Documents(Sources((files["train.txt"],), (files["held.txt"],)), 16)
    train, held_out = text.split(0.5)
    assert ["".join(piece.text for piece in part) for part in (train, held_out)] == [
        "the text to train on",
        "other text",
    ]
    assert "".join(text.strings()) == "the text to train on"


def test_the_embedded_corpus_is_cut_by_books():
    text = Documents(Sources(), 16)
    train, held_out = (list(part) for part in text.split(0.5))
    assert "".join(piece.text for piece in train) == corpus.english("train")
    assert "".join(piece.text for piece in held_out) == corpus.english("validation")
    assert "".join(piece.text for piece in text.test()) == corpus.english("test")
    assert all(piece.ends_document for piece in train)
    assert len(held_out) == len({verse.book for verse in corpus.verses("validation")})
    pairs = Pairs(Sources(), 16)
    assert [list(part) for part in (*pairs.split(0.5), pairs.test())] == [
        list(corpus.pairs(split)) for split in ("train", "validation", "test")
    ]


def test_what_cannot_be():
    with pytest.raises(ValueError, match=r"^there are files of held-out text, and none to train on: name both, or nei"):
        Sources(held_out=("a.txt",))
    with pytest.raises(ValueError, match=r"^held-out text cannot come from standard input$"):
        Sources(("a.txt",), ("-",))


def test_prepared_text_is_found_again(tmp_path):
    c = settings("decoder", seed=3)
    first = prepare(c, Sources((write_text(tmp_path / "text.txt"),)), tmp_path / "run")
    again = reopen(c, tmp_path / "run")
    assert again.tokenizer == first.tokenizer
    assert (again.train, again.held_out) == (first.train, first.held_out)
    assert first.train.characters + first.held_out.characters == 20_000
    for step in (0, 3):
        one, other = first.batches.batch(step), again.batches.batch(step)
        assert all((one[name] == other[name]).all() for name in one)


def test_standard_input_is_the_file_and_leaves_no_copy(tmp_path, monkeypatch):
    c = settings("decoder")
    from_file = prepare(c, Sources((write_text(tmp_path / "text.txt"),)), tmp_path / "file")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "text.txt").read_bytes())))
    from_input = prepare(c, Sources(("-",)), tmp_path / "input")
    assert from_input.train.fingerprint == from_file.train.fingerprint
    assert sorted(path.name for path in (tmp_path / "input").iterdir()) == ["data", "tokenizer.json"]
