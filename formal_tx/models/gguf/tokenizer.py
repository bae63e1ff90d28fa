"""The tokenizer in the entries of a GGUF file, as one of the `tokenizers` library.

The format has the vocabulary, the merges, the kind of each token, and a name for how text is cut into words before
merges are applied.
"""

from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from ..tokenizer import PretrainedTokenizer
from .entries import Entries

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = range(1, 7)

_GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False)


def _by_expression(expression: str) -> Any:
    cut = pre_tokenizers.Split(Regex(expression), "isolated")
    return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _llama3(digits: str) -> Any:
    return _by_expression(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


_CUTTING = {
    "gpt-2": _GPT2,
    "mpt": _GPT2,
    "olmo": _GPT2,
    # Each digit is a word.
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _GPT2]),
    "llama-bpe": _llama3(r"\p{N}{1,3}"),
    "qwen2": _llama3(r"\p{N}"),
}
"""How text is cut into words, by `tokenizer.ggml.pre`."""

_WHOLE_WORDS = ("llama-bpe",)
"""Where a word that is a token is one, whatever the merges."""


def tokenizer_of(entries: Entries) -> PretrainedTokenizer:
    """The tokenizer that the entries say, with the chat template if there is one.

    Raises:
      ValueError: it is of a kind that is not known, or it contradicts itself.
    """
    kind = entries.text("tokenizer.ggml.model")
    if kind not in _KINDS:
        raise ValueError(f"the entry tokenizer.ggml.model is {kind!r}, expected one of {', '.join(_KINDS)}")
    tokens = entries.texts("tokenizer.ggml.tokens")
    vocabulary = {token: i for i, token in enumerate(tokens)}
    if len(vocabulary) < len(tokens):
        i = next(i for i, token in enumerate(tokens) if vocabulary[token] != i)
        raise ValueError(f"the entry tokenizer.ggml.tokens has {tokens[i]!r} twice, as {i} and {vocabulary[tokens[i]]}")
    tokenizer = _KINDS[kind](entries, vocabulary)
    _add(tokenizer, entries, tokens)
    _surround(tokenizer, entries, tokens, by_default=kind == "llama")
    template = entries.text("tokenizer.chat_template") if "tokenizer.chat_template" in entries else None
    return PretrainedTokenizer(tokenizer, template)


def _byte_level(entries: Entries, vocabulary: dict[str, int]) -> Tokenizer:
    """Byte-pair encoding of bytes that are written as characters, as GPT-2's."""
    name = entries.text("tokenizer.ggml.pre", "gpt-2")
    if name not in _CUTTING:
        raise ValueError(f"the entry tokenizer.ggml.pre is {name!r}, expected one of {', '.join(_CUTTING)}")
    tokenizer = _made(models.BPE, vocabulary, _merges(entries, vocabulary), ignore_merges=name in _WHOLE_WORDS)
    if name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _CUTTING[name]
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _merges(entries: Entries, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    merges = []
    for i, merge in enumerate(entries.texts("tokenizer.ggml.merges")):
        # A token may begin with a space.
        left, _, right = merge[:1], *merge[1:].partition(" ")[1:]
        left += merge[1:].partition(" ")[0]
        if left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
            raise ValueError(
                f"the entry tokenizer.ggml.merges has {merge!r} at {i}, expected two tokens with a space between them, "
                "which together are a third one"
            )
        merges.append((left, right))
    return merges


def _pieces(entries: Entries, vocabulary: dict[str, int]) -> Tokenizer:
    """SentencePiece's byte-pair encoding, as Llama 2's: of two neighbours those are merged whose token scores best."""
    scores = entries.numbers("tokenizer.ggml.scores", len(vocabulary)).tolist()
    ranked = []
    for token, i in vocabulary.items():
        ranked += [
            (-scores[i], i, (token[:cut], token[cut:]))
            for cut in range(1, len(token))
            if token[:cut] in vocabulary and token[cut:] in vocabulary
        ]
    merges = [pair for _, _, pair in sorted(ranked, key=lambda entry: entry[:2])]
    unknown = entries.integer("tokenizer.ggml.unknown_token_id", 0, least=0)
    names = {i: token for token, i in vocabulary.items()}
    tokenizer = _made(models.BPE, vocabulary, merges, unk_token=names.get(unknown), fuse_unk=True, byte_fallback=True)
    begins_with_space = entries.truth("tokenizer.ggml.add_space_prefix", True)
    replace = [normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), *replace] if begins_with_space else replace)
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)] if begins_with_space else parts)
    return tokenizer


def _made(model: Any, vocabulary: dict[str, int], merges: list[tuple[str, str]], **options: Any) -> Tokenizer:
    try:
        return Tokenizer(model(vocab=vocabulary, merges=merges, **options))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"the entries tokenizer.ggml.tokens and merges are no tokenizer: {error}") from None


_KINDS = {"gpt2": _byte_level, "llama": _pieces}


def _add(tokenizer: Tokenizer, entries: Entries, tokens: list[str]) -> None:
    """Tokens that text becomes before it is cut: those with a meaning of their own, and the user's."""
    if "tokenizer.ggml.token_type" not in entries:
        return
    kinds = entries.numbers("tokenizer.ggml.token_type", len(tokens)).tolist()
    for kind, special in ((_CONTROL, True), (_UNKNOWN, True), (_USER_DEFINED, False)):
        added = [
            AddedToken(t, normalized=False, special=special) for t, k in zip(tokens, kinds, strict=True) if k == kind
        ]
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)(added)


def _surround(tokenizer: Tokenizer, entries: Entries, tokens: list[str], by_default: bool) -> None:
    """The tokens that stand before and after every text."""
    around = {}
    for name, default in (("bos", by_default), ("eos", False)):
        if entries.truth(f"tokenizer.ggml.add_{name}_token", default):
            i = entries.integer(f"tokenizer.ggml.{name}_token_id", least=0)
            if i >= len(tokens):
                raise ValueError(f"the entry tokenizer.ggml.{name}_token_id is {i}, and there are {len(tokens)} tokens")
            around[name] = (tokens[i], i)
    if around:
        before, after = ([around[name][0]] if name in around else [] for name in ("bos", "eos"))
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[*before, "$A", *after], pair=None, special_tokens=list(around.values())
        )
