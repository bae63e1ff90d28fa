"""A tokenizer of each kind, trained on the embedded corpus once."""

from functools import cache

import pytest

from formal_tx.data import corpus
from formal_tx.data.token_writing import write_documents, write_pairs
from formal_tx.data.tokenizer import Tokenizer

SIZES = {"characters": None, "bytes": None, "words": 500, "bpe": 600, "wordpiece": 500, "unigram": 400}


@cache
def tokenizer_of(kind):
    return Tokenizer.train(kind, [corpus.english("validation")], SIZES[kind])


@pytest.fixture(params=SIZES)
def any_tokenizer(request):
    return tokenizer_of(request.param)


@pytest.fixture
def trained():
    """The function that gives the tokenizer of a kind."""
    return tokenizer_of


@pytest.fixture
def verses(tmp_path):
    """The verses of Esther, each a document, as characters."""
    texts = [verse.english for verse in corpus.verses("validation") if verse.book == "Esther"]
    return write_documents([(text, True) for text in texts], tokenizer_of("characters"), tmp_path, "verses")


@pytest.fixture
def both_sides(tmp_path):
    """Verses in both languages as pairs of bytes, those of up to 300."""
    return write_pairs(corpus.pairs("validation")[:400], tokenizer_of("bytes"), tmp_path, "pairs", l_max=300)
