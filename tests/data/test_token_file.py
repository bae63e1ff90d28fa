"""Tokenised corpora on disk hold the tokens of their texts, in constant memory, and are whole or not there."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formal_tx.data import corpus
from formal_tx.data.statistics import statistics
from formal_tx.data.token_file import PairFile, TokenFile
from formal_tx.data.token_writing import write_documents, write_pairs
from formal_tx.data.tokenizer import Tokenizer

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def sequences(file):
    return [file.ids[a:b].tolist() for a, b in zip(file.starts[:-1], file.starts[1:], strict=True)]


@given(st.lists(st.tuples(TEXT, st.booleans()), min_size=1, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_each_document_is_bos_its_tokens_eos(trained, tmp_path, pieces):
    t = trained("bytes")
    documents, text = [], ""
    for part, ends in pieces:
        text += part
        if ends:
            documents, text = [*documents, text], ""
    if not pieces[-1][1]:
        documents.append(text)  # the end of the pieces ends the last document
    file = write_documents(iter(pieces), t, tmp_path, "corpus")
    assert sequences(file) == [[t.bos_token, *text.encode(), t.eos_token] for text in documents]
    assert file.documents == len(documents)
    assert file.longest == max(len(text.encode()) for text in documents) + 2
    assert file.characters == sum(map(len, documents))
    assert file.bytes == sum(len(text.encode()) for text in documents)
    assert file.used == len(np.unique(file.ids))
    file.verify()


def test_what_is_written_can_be_opened(trained, verses, tmp_path):
    opened = TokenFile.open(tmp_path, "verses", trained("characters"))
    assert opened == verses
    np.testing.assert_array_equal(opened.ids, verses.ids)
    assert isinstance(opened.ids, np.memmap)
    assert not opened.ids.flags.writeable
    assert (opened.ids.dtype, opened.starts.dtype) == (np.uint16, np.int64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["verses"]


def test_pairs(trained, tmp_path):
    t = trained("bytes")
    texts = [("ab", "é"), ("c" * 20, "d"), ("c", "d" * 20), ("", "x"), ("y" * 9, "z" * 8)]
    file = write_pairs(texts, t, tmp_path, "pairs", l_max=10)
    kept = [texts[0], texts[3], texts[4]]
    expected = [([*z.encode(), t.eos_token], [t.bos_token, *x.encode(), t.eos_token]) for z, x in kept]
    assert sequences(file) == [side for pair in expected for side in pair]
    assert (file.documents, file.left_out, file.l_max, file.longest) == (3, 2, 10, 10)
    assert (file.characters, file.bytes) == (10, 11)
    assert PairFile.open(tmp_path, "pairs", t) == file
    file.verify()


def test_large_vocabularies_take_four_bytes(tmp_path):
    t = Tokenizer.train("words", [" ".join(f"w{i}" for i in range(70_000))], 70_000)
    file = write_documents([("w0 w9 w69000", True)], t, tmp_path, "large")
    assert file.ids.dtype == np.uint32
    assert file.ids.max() == t.eos_token == 69_999
    assert t.decode(file.ids[1:3]) == "w0 w9"


def test_the_fingerprint_is_that_of_tokenizer_and_contents(trained, tmp_path):
    def fingerprint(documents, kind="bytes"):
        return write_documents([(text, True) for text in documents], trained(kind), tmp_path, "corpus").fingerprint

    assert fingerprint(["the", "land"]) == fingerprint(["the", "land"])
    others = [["the", "lamb"], ["the"], ["theland"], ["th", "eland"]]
    assert len({fingerprint(documents) for documents in [["the", "land"], *others]}) == 5
    assert fingerprint(["the", "land"], "bpe") != fingerprint(["the", "land"])


def test_a_corpus_is_replaced_whole(trained, tmp_path):
    write_documents([("one", True)], trained("bytes"), tmp_path, "corpus")
    with pytest.raises(RuntimeError, match="power"):
        write_documents(failing_after(("two", True)), trained("bytes"), tmp_path, "corpus")
    assert TokenFile.open(tmp_path, "corpus").ids[1:-1].tobytes() == "one".encode("utf-16-le")
    write_documents([("two", True)], trained("bytes"), tmp_path, "corpus")
    assert TokenFile.open(tmp_path, "corpus").ids[1:-1].tobytes() == "two".encode("utf-16-le")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_a_failure(trained, tmp_path, error):
    with pytest.raises(error, match="power"):
        write_documents(failing_after(("x" * 1_000_000, True), error=error), trained("bytes"), tmp_path, "corpus")
    assert list(tmp_path.iterdir()) == []


def failing_after(*pieces, error=RuntimeError):
    yield from pieces
    raise error("power")


def test_leftovers_of_a_killed_process_are_no_obstacle(trained, tmp_path):
    (tmp_path / ".corpus.partial").mkdir()
    (tmp_path / ".corpus.partial" / "ids").write_bytes(b"half")
    write_documents([("one", True)], trained("bytes"), tmp_path, "corpus")
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_statistics_of_documents(verses):
    found = statistics(verses)
    assert json.loads(json.dumps(found)) == found
    lengths = sorted(len(verse.english) + 2 for verse in corpus.verses("validation") if verse.book == "Esther")
    assert found == {
        "documents": 167,
        "tokens": sum(lengths),
        "characters": sum(lengths) - 2 * 167,
        "bytes": verses.bytes,
        "tokens_per_character": 1.0,
        "vocabulary": 70,
        "used": len(np.unique(verses.ids)),
        "lengths": {"1": lengths[1], "50": lengths[83], "99": lengths[165], "max": lengths[166]},
    }
    assert verses.bytes > verses.characters


def test_statistics_of_pairs(trained, tmp_path):
    file = write_pairs([("a" * n, "b" * (n // 2)) for n in range(2, 103)], trained("bytes"), tmp_path, "p", l_max=102)
    found = statistics(file)
    assert (found["pairs"], found["left_out"], found["used"]) == (100, 1, 4)
    assert found["source_lengths"] == {"1": 3, "50": 52, "99": 101, "max": 102}
    assert found["target_lengths"]["max"] == 52
    assert found["tokens_per_character"] == 1.0


MEASURED = """
import resource, sys
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.data.token_file import TokenFile
from formal_tx.data.token_writing import write_documents
from formal_tx.data.windows import Windows

directory = sys.argv[1]
t = Tokenizer.train("bytes", [])
line = "In the beginning, God created the heavens and the earth.\\n" * 1000
pieces = ((line, n % 10 == 9) for n in range(43_000_000 // len(line)))
def of_process():
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmData"))
    return int(line.split()[1]) // 1024

write_documents([(line, False)] * 5, t, directory, "warm")
limit = (of_process() + 40) << 20  # half of the tokenised corpus
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
file = write_documents(pieces, t, directory, "corpus")
assert file.ids.nbytes > 2 * (40 << 20), file.ids.nbytes
windows = Windows(file, length=256, batch_size=16, seed=0)
for step in range(0, windows.steps_per_epoch, 100):
    windows.batch(step)
print(sum(int(batch["counted"].sum()) for batch in windows.evaluation()) - len(file.ids), of_process() < limit >> 20)
"""


def test_a_corpus_twice_the_size_of_the_memory(tmp_path):
    """84 MB of tokens are written and read by a process that may have 40 MiB more than it starts with."""
    done = subprocess.run([sys.executable, "-c", MEASURED, str(tmp_path)], capture_output=True, text=True, timeout=100)
    assert done.stdout.split() == ["0", "True"], done.stderr
