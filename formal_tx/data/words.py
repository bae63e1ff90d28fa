"""A word-level tokenizer: the most frequent words of a text, as a Hugging Face `Tokenizer`."""

from collections import Counter

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import BertPreTokenizer

UNKNOWN, MASK, BOS, EOS = "<unknown>", "<mask>", "<bos>", "<eos>"


def word_tokenizer(text: str, N_V: int) -> Tokenizer:
    """A tokenizer of lower-case words and punctuation marks with a vocabulary of `N_V`, the most frequent first.

    The vocabulary ends as the paper's does, in mask_token, bos_token, eos_token; before them stands the token of every
    word that is not among the most frequent.

    Raises:
      ValueError: if the text does not have that many words.
    """
    normalize, split = Lowercase(), BertPreTokenizer()
    pieces = split.pre_tokenize_str(normalize.normalize_str(text))
    count = Counter(word for word, _ in pieces)
    special = (UNKNOWN, MASK, BOS, EOS)
    if len(count) < N_V - len(special):
        raise ValueError(f"the text has {len(count)} different words, too few for a vocabulary of {N_V}")
    # Equally frequent words in the order of the alphabet: the same text gives the same vocabulary.
    words = sorted(count, key=lambda word: (-count[word], word))[: N_V - len(special)]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate((*words, *special))}, unk_token=UNKNOWN))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalize, split
    return tokenizer
