"""Making a vocabulary from text: one function for each kind of tokenizer.

Each gives a tokenizer of the `tokenizers` library with the ordinary tokens (and the unknown one, where the kind has
one); `train` adds the special tokens at the end. The same text gives the same vocabulary, bit for bit, which of the
library's trainers only that of byte-level BPE sees to: see `_wordpiece` and `_unigram`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from .byte_level import CHARACTERS
from .cutting import PART

SPECIAL = MASK, BOS, EOS = ("<mask>", "<bos>", "<eos>")
UNKNOWN = "<unknown>"
LARGEST_ALPHABET = 1000  # characters of a WordPiece vocabulary; a word with another one is unknown


def train(kind: str, texts: Iterable[str], N_V: int | None) -> str:
    """The tokenizer.json of a new vocabulary; `Tokenizer.train` says the rest."""
    if kind not in KINDS:
        raise ValueError(f"there is no tokenizer {kind!r}; the kinds are {', '.join(map(repr, KINDS))}")
    if isinstance(texts, str):
        raise TypeError("texts is a str, expected an iterable of them, such as [text]")
    if kind in FOLLOWING:
        tokenizer = FOLLOWING[kind](_some(texts))
    elif isinstance(N_V, int):
        tokenizer = CHOSEN[kind](_some(texts), max(N_V - len(SPECIAL), 0))
    else:
        raise TypeError(f"N_V is {N_V!r}, expected the size of the {kind} vocabulary, special tokens included")
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    found = tokenizer.get_vocab_size()
    if N_V is not None and found != N_V:
        why = "what follows from" if kind in FOLLOWING else "the most for" if found < N_V else "the least for"
        raise ValueError(f"N_V is {N_V}, but a {kind} vocabulary of {found}, special ones included, is {why} this text")
    return tokenizer.to_str()


def _some(texts: Iterable[str]) -> Iterator[str]:
    """The texts that are not empty, of which there has to be one."""
    empty = True
    for text in texts:
        if text:
            empty = False
            yield text
    if empty:
        raise ValueError("there is no text to make a vocabulary from")


def _characters(texts: Iterable[str]) -> Tokenizer:
    """A token is a character, in code point order; BPE without merges, so that nothing has to be split before it."""
    alphabet = sorted(set().union(*texts))
    tokenizer = Tokenizer(models.BPE({character: i for i, character in enumerate(alphabet)}, []))
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def _bytes(texts: Iterable[str]) -> Tokenizer:
    """A token is a byte of UTF-8, and its id the byte; the texts are not looked at."""
    tokenizer = Tokenizer(models.BPE({character: i for i, character in enumerate(CHARACTERS)}, []))
    return _byte_level(tokenizer, use_regex=False)


def _bpe(texts: Iterable[str], size: int) -> Tokenizer:
    """Byte pair encoding of the bytes of UTF-8, words split as GPT-2 does."""
    tokenizer = _byte_level(Tokenizer(models.BPE()), use_regex=True)
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=list(CHARACTERS), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _byte_level(tokenizer: Tokenizer, use_regex: bool) -> Tokenizer:
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _words(texts: Iterable[str], size: int) -> Tokenizer:
    """A token is a lower-case word or a punctuation mark, the most frequent first; all others are unknown."""
    # Equally frequent words in the order of the alphabet: the same text gives the same vocabulary.
    ordered = sorted(_count(texts).items(), key=lambda item: (-item[1], item[0]))
    words = [word for word, _ in ordered[: max(size - 1, 0)]]
    vocabulary = {word: i for i, word in enumerate([*words, UNKNOWN])}
    return _split_at_words(Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN)))


def _wordpiece(texts: Iterable[str], size: int) -> Tokenizer:
    """WordPiece: lower-case words in pieces, all but the first of which begin with ##."""
    count = _count(texts)
    letters: Counter[str] = Counter()
    for word, n in count.items():
        letters.update({letter: n * word.count(letter) for letter in set(word)})
    known = {letter for letter, _ in sorted(letters.items(), key=lambda item: (-item[1], item[0]))[:LARGEST_ALPHABET]}
    words = sorted(word for word in count if known.issuperset(word))
    # The trainer numbers the letters inside words in the order of a hash table that differs from run to run, and
    # decides ties by these numbers. Special tokens it numbers first, in the order given.
    inside = sorted({"##" + letter for word in words for letter in word[1:]})
    tokenizer = Tokenizer(models.WordPiece({}, unk_token=UNKNOWN))
    trainer = trainers.WordPieceTrainer(vocab_size=max(size - 1, 0), special_tokens=inside, show_progress=False)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.train_from_iterator(_repeated(words, count), trainer)
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    vocabulary[UNKNOWN] = len(vocabulary)
    tokenizer = _split_at_words(Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN)))
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    return tokenizer


def _repeated(words: list[str], count: Counter[str]) -> Iterator[str]:
    for word in words:
        whole, rest = divmod(count[word], PART)
        yield from ((word + " ") * n for n in [*[PART] * whole, rest] if n)


def _split_at_words(tokenizer: Tokenizer) -> Tokenizer:
    # BERT's, but accents stay: they are part of the spelling in most languages that have them.
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _count(texts: Iterable[str]) -> Counter[str]:
    """How often each word occurs."""
    splitting = _split_at_words(Tokenizer(models.WordLevel({}, unk_token=UNKNOWN)))
    count: Counter[str] = Counter()
    for text in texts:
        pieces = splitting.pre_tokenizer.pre_tokenize_str(splitting.normalizer.normalize_str(text))
        count.update(word for word, _ in pieces)
    return count


def _unigram(texts: Iterable[str], size: int) -> Tokenizer:
    """Unigram language model of pieces of words; a space is the ▁ that its word begins with, a line end stays alone."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("\n", "isolated"),
            pre_tokenizers.Metaspace(prepend_scheme="never"),
            pre_tokenizers.Punctuation(),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    trainer = trainers.UnigramTrainer(vocab_size=size, unk_token=UNKNOWN, special_tokens=[UNKNOWN], show_progress=False)
    alphabet: set[str] = set()
    tokenizer.train_from_iterator(_with_room(texts, alphabet, size), trainer)
    scores = _settled(dict(json.loads(tokenizer.to_str())["model"]["vocab"]), len(alphabet))
    vocabulary = [*sorted(scores.items(), key=lambda item: (-item[1], item[0])), (UNKNOWN, min(scores.values()))]
    tokenizer.model = models.Unigram(vocabulary, unk_id=len(scores))
    return tokenizer


def _settled(scores: dict[str, float], characters: int) -> dict[str, float]:
    """The trainer's logarithms of probabilities, without what differs from run to run.

    It sums in the order of threads and hash tables, so the last digits differ; and it gives characters that it had
    dropped the lowest score, and then 0.0001 more for each, in the order of a hash table.
    """
    del scores[UNKNOWN]
    lowest = min(scores.values())
    dropped = {
        piece for piece, score in scores.items() if len(piece) == 1 and score < lowest + 0.0001 * (characters + 1)
    }
    return {piece: round(lowest if piece in dropped else score, 4) for piece, score in scores.items()}


def _with_room(texts: Iterable[str], alphabet: set[str], size: int) -> Iterator[str]:
    """The texts; their characters are added to `alphabet`. An error if there is no room: the trainer would hang."""
    for text in texts:
        alphabet.update(text)
        yield text
    if size < len(alphabet) + 1:
        raise ValueError(
            f"N_V is {size + len(SPECIAL)}, but a unigram vocabulary has all {len(alphabet)} characters of its text, "
            f"which makes {len(alphabet) + 1 + len(SPECIAL)} with the unknown and the special tokens"
        )


FOLLOWING: dict[str, Callable[[Iterable[str]], Tokenizer]] = {"characters": _characters, "bytes": _bytes}
CHOSEN: dict[str, Callable[[Iterable[str], int], Tokenizer]] = {
    "words": _words,
    "bpe": _bpe,
    "wordpiece": _wordpiece,
    "unigram": _unigram,
}
KINDS = (*FOLLOWING, *CHOSEN)  # from whose text N_V follows, and whose N_V is chosen
