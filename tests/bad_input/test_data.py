"""Tokenizers, corpora on disk and batches: what is refused, by its message."""

import errno
import json
import subprocess
import sys

import numpy as np
import pytest

from formal_tx.data.batches import Buckets, Windows
from formal_tx.data.stream_decoder import StreamDecoder
from formal_tx.data.token_file import PairFile, TokenFile
from formal_tx.data.token_writing import write_documents, write_pairs
from formal_tx.data.tokenizer import Tokenizer

CHARACTERS = Tokenizer.train("characters", [" abné"])
BYTES = Tokenizer.train("bytes", [])


def refused(call, *arguments, error=ValueError, message, **options):
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    assert str(caught.value) == message


class TestTraining:
    @pytest.mark.parametrize(
        ("kind", "N_V", "found", "why"),
        [
            ("characters", 9, 6, "what follows from"),
            ("bytes", 300, 259, "what follows from"),
            ("words", 50, 6, "the most for"),
            ("words", 3, 4, "the least for"),
            ("bpe", 500, 261, "the most for"),
            ("bpe", 100, 259, "the least for"),
            ("wordpiece", 40, 11, "the most for"),
            ("wordpiece", 5, 9, "the least for"),
            ("unigram", 50, 8, "the most for"),
        ],
    )
    def test_a_vocabulary_that_the_text_does_not_give(self, kind, N_V, found, why):
        text = "abc" if kind != "words" else "abc a"
        message = f"N_V is {N_V}, but a {kind} vocabulary of {found}, special ones included, is {why} this text"
        if kind == "unigram":
            message = message.replace("of 8", "of 7")
        refused(Tokenizer.train, kind, [text], N_V, message=message)

    def test_unigram_has_all_characters(self):
        message = (
            "N_V is 6, but a unigram vocabulary has all 3 characters of its text, which makes 7 with the unknown and "
            "the special tokens"
        )
        refused(Tokenizer.train, "unigram", ["abc"], 6, message=message)

    def test_kind(self):
        message = (
            "there is no tokenizer 'bpé'; the kinds are 'characters', 'bytes', 'words', 'bpe', 'wordpiece', 'unigram'"
        )
        refused(Tokenizer.train, "bpé", ["a"], 300, message=message)

    @pytest.mark.parametrize("texts", [[], [""], iter(["", ""])], ids=["none", "empty", "iterator"])
    def test_no_text(self, texts):
        refused(Tokenizer.train, "characters", texts, message="there is no text to make a vocabulary from")

    def test_one_string(self):
        message = "texts is a str, expected an iterable of them, such as [text]"
        refused(Tokenizer.train, "characters", "text", error=TypeError, message=message)

    @pytest.mark.parametrize("kind", ["words", "bpe", "wordpiece", "unigram"])
    def test_no_size(self, kind):
        message = f"N_V is None, expected the size of the {kind} vocabulary, special tokens included"
        refused(Tokenizer.train, kind, ["text"], error=TypeError, message=message)

    @pytest.mark.parametrize("kind", ["characters", "words", "bpe", "wordpiece", "unigram"])
    def test_what_is_wrong_with_the_text_is_passed_on(self, kind):
        def texts():
            yield "fine"
            raise ValueError("file.txt, line 2 is bad")

        N_V = None if kind == "characters" else 300
        refused(Tokenizer.train, kind, texts(), N_V, message="file.txt, line 2 is bad")


class TestEncoding:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("banZ", "'Z' (U+005A) at position 3"),
            ("~a\n", "'~' (U+007E) at position 0"),
            ("na\U0001f600", "'\U0001f600' (U+1F600) at position 2"),
        ],
    )
    def test_unknown_character(self, text, found):
        message = f"the character {found} is not among the 5 of this tokenizer"
        refused(CHARACTERS.encode, text, message=message)
        refused(CHARACTERS.encode_with_spans, text, message=message)
        refused(CHARACTERS.encode_batch, ["ban", text], message=message)

    @pytest.mark.parametrize("tokenizer", [CHARACTERS, BYTES], ids=repr)
    def test_half_a_surrogate_pair(self, tokenizer):
        message = "U+D83D at position 2 is half of a surrogate pair, which is no character"
        refused(tokenizer.encode, "an\ud83d", message=message)

    @pytest.mark.parametrize("text", [None, 3, b"ban", ["ban"]], ids=repr)
    def test_no_text(self, text):
        message = f"a text is of type {type(text).__name__}, expected str"
        refused(CHARACTERS.encode, text, error=TypeError, message=message)


class TestDecoding:
    @pytest.mark.parametrize("ids", [[0, 8], [0, -1], np.array([1, 2**40])], ids=["above", "negative", "far"])
    def test_id_out_of_range(self, ids):
        message = f"the id {ids[1]} at position 1 is outside 0..7"
        refused(CHARACTERS.decode, ids, message=message)

    @pytest.mark.parametrize("tokenizer", [CHARACTERS, BYTES], ids=repr)
    def test_one_id_out_of_range(self, tokenizer):
        for token in (-1, tokenizer.N_V, 2**40):
            message = f"the id {token} at position 0 is outside 0..{tokenizer.N_V - 1}"
            for call in (tokenizer.piece, tokenizer.bytes_of, StreamDecoder(tokenizer).push):
                refused(call, token, message=message)

    @pytest.mark.parametrize("ids", [[0.0, 1.0], [True, False], ["a"]], ids=["float", "bool", "str"])
    def test_ids_that_are_no_integers(self, ids):
        message = f"ids must be integers, not {np.asarray(ids).dtype}"
        refused(CHARACTERS.decode, ids, error=TypeError, message=message)

    @pytest.mark.parametrize("ids", [3, [[0, 1], [2, 3]]], ids=["scalar", "batch"])
    def test_ids_of_another_shape(self, ids):
        refused(CHARACTERS.decode, ids, message=f"ids must have one axis (ℓ,), not the shape {np.shape(ids)}")


class TestLoading:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "tokenizer.json"

    def test_missing(self, path):
        message = f"{path}: there is no such tokenizer"
        refused(Tokenizer.load, path, error=FileNotFoundError, message=message)

    def test_broken_json(self, path):
        path.write_text('{"model":\n}')
        refused(Tokenizer.load, path, message=f"{path}: broken JSON at line 2, column 1: Expecting value")

    @pytest.mark.parametrize("content", ["[]", "3", "{}", '{"model": {"type": "BPE"}}'])
    def test_something_else(self, path, content):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"tokenizer\.json: not a tokenizer\.json of the tokenizers library: "):
            Tokenizer.load(path)

    def test_no_text(self, path):
        path.write_bytes(b"\xff\x00")
        with pytest.raises(ValueError, match=r"tokenizer\.json: 'utf-8' codec can't decode byte 0xff in position 0"):
            Tokenizer.load(path)

    def test_other_special_tokens(self, path):
        path.write_text(CHARACTERS.json.replace("<eos>", "</s>"))
        message = f"{path}: the vocabulary of 8 ends in ['<mask>', '<bos>', '</s>'], expected the special tokens ['<mask>', '<bos>', '<eos>']"  # noqa: E501
        refused(Tokenizer.load, path, message=message)

    def test_special_tokens_that_are_ordinary(self, path):
        """Text would become them."""
        content = json.loads(CHARACTERS.json)
        content["added_tokens"][1]["special"] = False
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=r"ends in .*, expected the special tokens"):
            Tokenizer.load(path)

    def test_no_special_tokens(self, path):
        content = json.loads(CHARACTERS.json)
        content["added_tokens"] = []
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=r"the vocabulary of 5 ends in \['b', 'n', 'é'\]"):
            Tokenizer.load(path)


class TestWriting:
    def test_no_documents(self, tmp_path):
        message = "train: there is no document to write"
        refused(write_documents, [], BYTES, tmp_path, "train", message=message)
        assert list(tmp_path.iterdir()) == []

    def test_no_pairs(self, tmp_path):
        refused(write_pairs, [], BYTES, tmp_path, "train", 9, message="train: there is no pair to write")

    def test_pairs_that_are_all_too_long(self, tmp_path):
        message = "train: each of the 2 pairs has more than l_max = 4 tokens on a side"
        refused(write_pairs, [("a", "bcd"), ("abcd", "b")], BYTES, tmp_path, "train", 4, message=message)

    def test_the_document_with_the_unknown_character_is_named(self, tmp_path):
        pieces = [("ban", True), ("an", False), ("aX", True)]
        message = "document 2: the character 'X' (U+0058) at position 1 is not among the 5 of this tokenizer"
        refused(write_documents, pieces, CHARACTERS, tmp_path, "train", message=message)

    def test_the_pair_with_the_unknown_character_is_named(self, tmp_path):
        pairs = [("ban", "an"), ("a", "Xa")]
        message = "pair 2, target: the character 'X' (U+0058) at position 0 is not among the 5 of this tokenizer"
        refused(write_pairs, pairs, CHARACTERS, tmp_path, "train", 9, message=message)

    def test_no_room(self, tmp_path):
        """A limit on the size of files is what a full disk is, without one."""
        code = (
            "import resource, sys; from formal_tx.data.tokenizer import Tokenizer;"
            "from formal_tx.data.token_writing import write_documents;"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
            "write_documents([('x' * 60_000, True)], Tokenizer.train('bytes', []), sys.argv[1], 'train')"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=100)
        message = f"OSError: [Errno {errno.EFBIG}] {tmp_path / 'train'} cannot be written: File too large"
        assert done.stderr.splitlines()[-1] == message
        assert list(tmp_path.iterdir()) == []

    def test_a_file_where_the_directory_should_be(self, tmp_path):
        (tmp_path / "data").write_text("")
        with pytest.raises(OSError, match="data"):
            write_documents([("x", True)], BYTES, tmp_path / "data", "train")


class TestOpening:
    @pytest.fixture
    def path(self, tmp_path):
        write_documents([("banana", True), ("bandana", True)], BYTES, tmp_path, "train")
        return tmp_path / "train"

    def test_missing(self, tmp_path):
        message = f"{tmp_path / 'test'} is no tokenised corpus: it has no header.json"
        refused(TokenFile.open, tmp_path, "test", error=FileNotFoundError, message=message)

    @pytest.mark.parametrize("part", ["ids", "starts"])
    def test_a_part_missing(self, path, part):
        (path / part).unlink()
        message = f"{path / part} is missing; the corpus has to be tokenised again"
        refused(TokenFile.open, path.parent, "train", error=FileNotFoundError, message=message)

    @pytest.mark.parametrize(("part", "size"), [("ids", 34), ("starts", 24)])
    @pytest.mark.parametrize("change", [-1, 2])
    def test_a_part_of_another_size(self, path, part, size, change):
        with (path / part).open("r+b") as file:
            file.truncate(size + change)
        message = f"{path / part} is cut short or altered: it has {size + change} bytes, expected {size}"
        refused(TokenFile.open, path.parent, "train", message=message)

    def test_starts_of_something_else(self, path):
        (path / "starts").write_bytes(np.array([0, 8, 16], "<i8").tobytes())
        message = f"{path / 'starts'} is altered: it goes from 0 to 16, expected from 0 to 17"
        refused(TokenFile.open, path.parent, "train", message=message)

    def test_altered_tokens(self, path):
        (path / "ids").write_bytes(b"\2" + (path / "ids").read_bytes()[1:])
        with pytest.raises(ValueError, match=r"^the tokens are altered: their fingerprint is [0-9a-f]{64}, expected "):
            TokenFile.open(path.parent, "train").verify()

    def test_another_tokenizer(self, path):
        message = (
            f"{path} was made with another tokenizer, of 259 tokens: its fingerprint is {BYTES.fingerprint[:12]}…, "
            f"that of the tokenizer given {CHARACTERS.fingerprint[:12]}…"
        )
        refused(TokenFile.open, path.parent, "train", CHARACTERS, message=message)

    def test_another_kind(self, path):
        message = f"{path / 'header.json'} is of kind and format ['TokenFile', 1], expected ['PairFile', 1]"
        refused(PairFile.open, path.parent, "train", message=message)

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ("{", " is broken: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            ("[1]", " is of kind and format list, expected ['TokenFile', 1]"),
            (
                '{"kind": "TokenFile", "format": 2}',
                " is of kind and format ['TokenFile', 2], expected ['TokenFile', 1]",
            ),
        ],
    )
    def test_broken_header(self, path, header, message):
        (path / "header.json").write_text(header)
        refused(TokenFile.open, path.parent, "train", message=f"{path / 'header.json'}{message}")

    def test_a_header_without_an_entry(self, path):
        header = json.loads((path / "header.json").read_text())
        del header["used"], header["tokens"]
        (path / "header.json").write_text(json.dumps(header))
        refused(
            TokenFile.open, path.parent, "train", message=f"{path / 'header.json'} is broken: it has no tokens, used"
        )


class TestBatches:
    @pytest.fixture
    def tokens(self, tmp_path):
        return write_documents([("banana", True)], BYTES, tmp_path, "train")

    @pytest.fixture
    def pairs(self, tmp_path):
        return write_pairs([("ban", "anna"), ("a", "b")], BYTES, tmp_path, "pairs", 20)

    def test_a_text_shorter_than_a_window(self, tokens):
        message = "the text has 8 tokens, fewer than one window of 9; give more text, or make l_max smaller"
        windows = Windows(tokens, length=9, batch_size=2, seed=0)
        refused(windows.batch, 0, message=message)
        refused(lambda: windows.steps_per_epoch, message=message)

    def test_fewer_pairs_than_a_batch(self, pairs):
        message = "there are 2 pairs, too few for a batch of 3; give more pairs, or a smaller batch"
        buckets = Buckets(pairs, seed=0, batch_size=3)
        refused(buckets.batch, 0, message=message)
        refused(lambda: buckets.steps_per_epoch, message=message)

    @pytest.mark.parametrize(
        ("name", "value", "at_least"),
        [
            ("length", 0, 1),
            ("batch_size", 0, 1),
            ("batch_size", 2.0, 1),
            ("seed", -1, 0),
            ("seed", None, 0),
            ("overlap", -1, 0),
        ],
    )
    def test_windows(self, tokens, name, value, at_least):
        options = {"length": 4, "batch_size": 2, "seed": 0, "overlap": 1, name: value}
        message = f"{name} is {value!r}, expected an integer of at least {at_least}"
        refused(Windows, tokens, message=message, **options)

    def test_overlap(self, tokens):
        message = "overlap is 4, expected less than the length 4"
        refused(Windows, tokens, length=4, batch_size=2, seed=0, overlap=4, message=message)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "batch_size is None and tokens_per_batch None, expected one of them"),
            ({"batch_size": 1, "tokens_per_batch": 9}, "batch_size is 1 and tokens_per_batch 9, expected one of them"),
            ({"batch_size": 0}, "batch_size is 0, expected an integer of at least 1"),
            ({"batch_size": 3, "multiple": 2}, "batch_size is 3, expected a multiple of 2"),
            ({"tokens_per_batch": 15, "multiple": 2}, "tokens_per_batch is 15, expected an integer of at least 16"),
            ({"batch_size": 1, "multiple": 0}, "multiple is 0, expected an integer of at least 1"),
            ({"batch_size": 1, "l_max": 5}, "l_max is 5, expected at least 6, the tokens of the longest pair"),
        ],
    )
    def test_buckets(self, pairs, options, message):
        refused(Buckets, pairs, seed=0, **options, message=message)

    @pytest.mark.parametrize(
        ("step", "index", "count", "message"),
        [
            (-1, 0, 1, "step is -1, expected an integer of at least 0"),
            (0, 0, 0, "count is 0, expected an integer of at least 1"),
            (0, 0, 3, "a batch of 2 rows cannot be divided among 3 hosts"),
            (0, 2, 2, "the host is 2, expected one of 0..1"),
            (0, -1, 2, "the host is -1, expected one of 0..1"),
        ],
    )
    def test_parts(self, tokens, pairs, step, index, count, message):
        for batches in (Windows(tokens, 4, 2, seed=0), Buckets(pairs, seed=0, batch_size=2)):
            refused(batches.part, step, index, count, message=message)
