"""Reading files: what comes out is what went in, in pieces, whatever the size of a read."""

import gzip
import io
import json
import lzma

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formal_tx.data import files, reading
from formal_tx.data.reading import Piece, pairs, pieces

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@pytest.fixture
def file(tmp_path):
    """A function that writes a file and gives its path."""

    def write(content, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@given(ANY_TEXT, st.integers(1, 9), st.integers(4, 20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_file_is_its_pieces(file, text, chunk, part):
    """No character is lost or broken where reads or pieces end, and no piece is too long."""
    text = "a" + text  # text that begins with a byte order mark would lose it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "CHUNK", chunk)
        patch.setattr(reading, "PART", part)
        found = list(pieces([file(text)]))
    assert "".join(piece.text for piece in found) == text
    assert all(0 < len(piece.text) <= part for piece in found)
    assert [piece.ends_document for piece in found] == [False] * (len(found) - 1) + [True]


def test_pieces_end_with_lines_where_there_are_lines(file, monkeypatch):
    monkeypatch.setattr(reading, "PART", 12)
    found = pieces(file("one\ntwo\nthree\nfour\nfive\n"))
    assert [piece.text for piece in found] == ["one\ntwo\n", "three\nfour\n", "five\n"]


def test_each_file_is_a_document(file):
    found = pieces([file("first", "a.txt"), file("second", "b.md")])
    assert list(found) == [Piece("first", True), Piece("second", True)]


def test_line_ends_and_spaces_are_part_of_a_text(file):
    assert [piece.text for piece in pieces(file(" a\r\n\tb \n\n"))] == [" a\r\n\tb \n\n"]


@pytest.mark.parametrize("name", ["text.txt", "text.jsonl"])
def test_a_byte_order_mark_is_not(file, name):
    content = "a\n" if name == "text.txt" else '{"text": "a\\n"}'
    assert list(pieces(file("\ufeff" + content, name))) == [Piece("a\n", True)]
    assert list(pairs(file("\ufeffa\tb", "p.tsv"))) == [("a", "b")]


def test_json_lines(file):
    documents = ["one\ntwo", "", "señor \u2028 \U0001f600", " "]
    content = "\n\n".join(json.dumps({"id": 1, "text": text}) for text in documents)
    expected = [Piece(text, True) for text in documents if text]
    for name in ("a.jsonl", "a.ndjson", "a.JSONL"):
        assert list(pieces(file(content, name))) == expected
    assert list(pieces(file(content, "a.txt"), format="jsonl")) == expected
    assert [piece.text for piece in pieces(file(content, "a.jsonl"), format="text")] == [content]


def test_pairs_of_both_formats(file):
    expected = [("In the beginning", "En el principio"), (" a ", "b\u2028c")]
    tsv = "".join(f"{source}\t{target}\n" for source, target in expected)
    lines = "\n".join(json.dumps({"source": s, "target": t}, ensure_ascii=False) for s, t in expected)
    assert list(pairs([file(tsv, "p.tsv")])) == expected
    assert list(pairs([file(tsv.replace("\n", "\r\n\r\n"), "p.txt")])) == expected
    assert list(pairs([file(lines, "p.jsonl"), file(tsv, "p.tsv")])) == expected * 2
    assert list(pairs([file(lines, "p.txt")], format="jsonl")) == expected


@pytest.mark.parametrize(("suffix", "module"), [(".gz", gzip), (".xz", lzma)])
def test_compressed_files(file, suffix, module):
    assert list(pieces(file(module.compress(b"text"), f"a.txt{suffix}"))) == [Piece("text", True)]
    assert list(pieces(file(module.compress(b'{"text": "t"}'), f"a.jsonl{suffix}"))) == [Piece("t", True)]
    assert list(pairs(file(module.compress(b"a\tb\n"), f"a.tsv{suffix}"))) == [("a", "b")]


def test_standard_input(file, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("año".encode())))
    assert list(pieces(["-", file("b")])) == [Piece("año", True), Piece("b", True)]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\tb")))
    assert list(pairs("-")) == [("a", "b")]


def test_one_line_of_any_length_is_read_in_pieces(file):
    path = file(b"x" * 5_000_000)
    found = list(pieces(path))
    assert max(len(piece.text) for piece in found) == reading.PART
    assert sum(len(piece.text) for piece in found) == 5_000_000


def test_a_long_document_of_json_lines(file):
    text = "word " * 2_000_000
    assert [len(piece.text) for piece in pieces(file(json.dumps({"text": text}), "a.jsonl"))] == [len(text)]
