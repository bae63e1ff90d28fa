"""What is wrong with a user's files is said with the name, the line or the byte, and what to do."""

import gzip
import io
import lzma
import os
import re

import pytest

from formal_tx.data import files, reading
from formal_tx.data.reading import pairs, pieces

BOTH = pytest.mark.parametrize("read", [pieces, pairs])


def refused(read, content, message, name="file.txt", error=ValueError, **options):
    """Reading a file of this content says exactly this, with the file's name in the place of {}."""
    path = name
    if content is not None:
        with open(name, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
    with pytest.raises(error) as caught:
        list(read([path], **options))
    assert str(caught.value) == message.format(path)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@BOTH
def test_no_such_file(read):
    refused(read, None, "{}: there is no such file", error=FileNotFoundError)


@BOTH
def test_a_missing_file_is_noticed_before_the_others_are_read(read):
    with pytest.raises(FileNotFoundError, match="second: there is no such file"):
        read([__file__, "second"])


@BOTH
def test_directory(read):
    os.mkdir("texts")
    refused(read, None, "{} is a directory, expected a file", name="texts", error=IsADirectoryError)


@BOTH
def test_a_file_that_may_not_be_read(read, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # nothing is forbidden to root
    refused(read, "a\tb", "{} may not be read by this user", error=PermissionError)


@BOTH
def test_no_files(read):
    with pytest.raises(ValueError, match="there is no file to read"):
        read([])


@BOTH
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
@pytest.mark.parametrize(
    ("content", "message"), [("", "{} is empty"), (" \n\r\n \n", "{} has nothing but white space")]
)
def test_empty(read, name, content, message):
    if name == "a.jsonl" or read is pairs:
        content = content.replace(" ", "")  # a line of spaces is one that is wrong
    refused(read, content, message, name=name)


@BOTH
@pytest.mark.parametrize(
    ("encoding", "mark"), [("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")], ids=["little", "big"]
)
def test_utf_16(read, encoding, mark):
    message = (
        "{} is UTF-16 (it begins with the bytes " + mark.hex(" ").upper() + "), expected UTF-8; convert it with "
        "`iconv -f UTF-16 -t UTF-8`"
    )
    refused(read, mark + "Señor\ta\n".encode(encoding), message)


@BOTH
def test_latin_1(read):
    content = "one\ttwo\nel se\tñor\n".encode("latin-1")
    message = (
        "{}, line 2: byte 14 (0xF1) is not UTF-8; if the file is in Latin-1, convert it with `iconv -f LATIN1 -t UTF-8`"
    )
    refused(read, content, message)


def test_the_byte_is_counted_from_the_start_of_the_file(monkeypatch):
    for chunk in range(1, 12):
        monkeypatch.setattr(files, "CHUNK", chunk)
        refused(pieces, b"a\n\xc3\xa9\n\xc3\xa9\xe9!\n", "{}, line 3: byte 7 (0xE9) is not UTF-8; if the file is in "
                "Latin-1, convert it with `iconv -f LATIN1 -t UTF-8`")  # fmt: skip


@BOTH
def test_cut_inside_a_character(read):
    message = "{}, line 1: byte 3 (0xE2) is not UTF-8: the file ends inside a character; is it cut short?"
    refused(read, "a\tb€".encode()[:-1], message)


@BOTH
def test_binary(read):
    message = "{}: byte 5 is NUL, so this is a binary file, expected text in UTF-8"
    refused(read, b"\x7fELF\x02\x00\x00", message, name="model.bin")
    refused(read, b"a\tb\n\x01\x00", message)


@BOTH
@pytest.mark.parametrize(
    ("suffix", "packed"),
    [
        (".gz", gzip.compress(b"a\tb\n" * 999)[:-9]),
        (".gz", b"a\tb\n"),
        (".xz", lzma.compress(b"a\tb\n" * 999)[:-9]),
        (".xz", b"a"),
    ],
    ids=["gz, cut", "no gz", "xz, cut", "no xz"],
)
def test_broken_compression(read, suffix, packed):
    name = "a.tsv" if read is pairs else "a.txt"
    with open(name + suffix, "wb") as file:
        file.write(packed)
    with pytest.raises(ValueError, match=f"^{re.escape(name + suffix)} cannot be decompressed: "):
        list(read(name + suffix))


@BOTH
def test_standard_input_twice(read):
    with pytest.raises(ValueError, match=r"^- is given twice, but standard input can be read once$"):
        read(["-", __file__, "-"])


@BOTH
def test_standard_input_has_a_name(read, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(ValueError, match=r"^standard input is empty$"):
        list(read("-"))


@pytest.mark.parametrize(
    ("line", "found"),
    [("c", "1 column"), ("c\td\te", "3 columns"), ("c\td\t", "3 columns"), ("c  d", "1 column")],
)
def test_ragged_columns(line, found):
    refused(pairs, f"a\tb\n\n{line}\n", "{}, line 3 has " + found + ", expected 2: source, tab, target", name="p.tsv")


@pytest.mark.parametrize(
    ("line", "side"), [("\tb", "source"), ("a\t", "target"), (" \tb", "source"), ("a\t\r", "target")]
)
def test_a_side_that_is_empty(line, side):
    refused(
        pairs, f"a\tb\n{line}\n", "{}, line 2: the " + side + " is empty, expected text on both sides", name="p.tsv"
    )


def test_a_side_that_is_empty_in_json():
    content = '{"source": "a", "target": " "}'
    refused(pairs, content, "{}, line 1: the target is empty, expected text on both sides", name="p.jsonl")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"', ", column 13 is broken JSON: Expecting ',' delimiter"),
        ("text", ", column 1 is broken JSON: Expecting value"),
        ("[1]", ' is a JSON list, expected an object with "text"'),
        ('"a"', ' is a JSON str, expected an object with "text"'),
        ('{"body": "a", "id": 1}', ' has no "text"; its keys are "body", "id"'),
        ("{}", ' has no "text"; it is empty'),
        ('{"text": null}', ': "text" is of type NoneType, expected a string'),
        ('{"text": ["a"]}', ': "text" is of type list, expected a string'),
        ('{"text": "ab\\ud800"}', ': "text" has half of a surrogate pair at position 2'),
    ],
)
def test_json_lines(line, message):
    refused(pieces, f'{{"text": "fine"}}\n{line}\n', "{}, line 2" + message, name="a.jsonl")


@pytest.mark.parametrize("line", ["[" * 200_000, '{"text": ' + "1" * 5000 + "}"], ids=["nested", "digits"])
def test_json_that_python_will_not_read(line):
    with open("a.jsonl", "w") as file:
        file.write(line)
    with pytest.raises(ValueError, match=r"^a\.jsonl, line 1 cannot be read: "):
        list(pieces("a.jsonl"))


def test_json_pairs_without_a_side():
    refused(
        pairs, '{"source": "a", "es": "b"}', '{}, line 1 has no "target"; its keys are "source", "es"', name="p.jsonl"
    )


@pytest.mark.parametrize(("read", "name"), [(pieces, "a.jsonl"), (pairs, "a.jsonl"), (pairs, "a.tsv")])
def test_a_line_too_long_to_be_held(read, name):
    """50 MB; of plain text it would be read in pieces."""
    refused(read, b"x" * 50_000_000, "{}, line 1 is longer than 16 MiB", name=name)


@pytest.mark.parametrize(
    ("read", "format", "allowed"),
    [(pieces, "tsv", "'text', 'jsonl'"), (pairs, "text", "'tsv', 'jsonl'"), (pieces, "csv", "'text', 'jsonl'")],
)
def test_format(read, format, allowed):
    with pytest.raises(ValueError, match=f"^the format is '{format}', expected one of {allowed} here$"):
        read([__file__], format=format)


def test_pairs_are_no_text():
    refused(
        pieces,
        "a\tb\n",
        "{} holds pairs, expected text or JSON lines; say format='text' to read it as text",
        name="p.tsv",
    )
    assert [piece.text for piece in reading.pieces("p.tsv", format="text")] == ["a\tb\n"]
