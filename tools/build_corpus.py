"""Builds formal_tx/data/verses.tsv.xz, the embedded corpus, from two public-domain texts that Debian packages.

    python tools/build_corpus.py

`mod2imp MODULE` prints a text as entries of a key line, `$$$Book chapter:verse`, and the OSIS markup of that verse.
The markup is taken rather than `mod2imp -s`, which strips it blindly: that glues the words on both sides of a footnote
together ("his only bornSon"), leaves lexicon numbers in the Spanish (`<H0398>`), drops the psalms' own titles from the
English alone, and appends a whole glossary to the last verse. The same packages give the same file, byte for byte.
"""

import hashlib
import html
import lzma
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "formal_tx" / "data" / "verses.tsv.xz"
HEADER = "book\tchapter\tverse\tenglish\tspanish\n"
ENGLISH, SPANISH = "engWEB2015eb", "spaRV1909eb"
PACKAGES = "libsword-utils sword-text-web sword-text-sparv"
# Every setting that the bytes depend on; the dictionary is no larger than the text needs.
COMPRESSION = {
    "id": lzma.FILTER_LZMA2,
    "preset": 9 | lzma.PRESET_EXTREME,
    "dict_size": 1 << 24,
    "lc": 4,
    "lp": 0,
    "pb": 0,
}
WORDS = re.compile(r"(?:[^\W\d_]|[ !(),.:;?¡¿‘’“”—-])+")  # letters, spaces and punctuation

Key = tuple[str, int, int]  # book, chapter, verse

# Where the Spanish edition numbers a passage differently, the key alone would pair each verse with its neighbour.
# (book, chapter, first and last verse in English, chapter and first verse in Spanish)
RENUMBERED = (
    ("Numbers", 12, 16, 16, 13, 1),
    ("Numbers", 13, 1, 31, 13, 2),
    ("Numbers", 29, 40, 40, 30, 1),
    ("Numbers", 30, 1, 14, 30, 2),
    ("I Samuel", 23, 29, 29, 24, 1),
    ("I Samuel", 24, 1, 20, 24, 2),
    ("I Kings", 22, 44, 51, 22, 45),
    ("I Chronicles", 21, 16, 28, 21, 17),
    ("II Chronicles", 33, 12, 25, 33, 11),
    ("Job", 38, 39, 41, 39, 1),
    ("Job", 39, 1, 26, 39, 4),
    ("Job", 40, 6, 24, 40, 1),
    ("Hosea", 11, 12, 12, 12, 1),
    ("Hosea", 12, 1, 12, 12, 2),
    ("Jonah", 1, 17, 17, 2, 1),
    ("Jonah", 2, 1, 8, 2, 2),
    ("II Corinthians", 13, 14, 14, 13, 13),
)
# Where one edition divides what the other joins, no verse matches a verse.
# (book, chapter, first and last verse in English)
DIVIDED_DIFFERENTLY = (
    ("Numbers", 13, 32, 33),
    ("Numbers", 30, 15, 16),
    ("Judges", 14, 18, 20),
    ("I Samuel", 24, 21, 22),
    ("II Samuel", 20, 25, 26),
    ("I Kings", 22, 43, 43),
    ("I Kings", 22, 52, 53),
    ("I Chronicles", 21, 15, 15),
    ("I Chronicles", 21, 29, 30),
    ("II Chronicles", 33, 10, 11),
    ("Job", 35, 15, 16),
    ("Job", 39, 27, 30),
    ("Job", 40, 1, 5),
    ("Hosea", 12, 13, 14),
    ("Jonah", 2, 9, 10),
    ("Acts", 19, 40, 41),
    ("Romans", 14, 23, 23),
    ("II Corinthians", 13, 12, 13),
)


def dump(module: str) -> str:
    """The entries of an installed SWORD module, with their markup."""
    found = shutil.which("mod2imp")
    result = found and subprocess.run([found, module], capture_output=True, check=False)
    if not result or result.returncode or b"$$$" not in result.stdout:
        raise SystemExit(f"mod2imp cannot read the text {module}: install the Debian packages {PACKAGES}")
    return result.stdout.decode("utf-8")


def plain(markup: str) -> str:
    """The words of one verse: one line, no notes, headings or lexicon numbers, single spaces, Unicode NFC."""
    text = markup.split("<chapter eID", 1)[0]  # after the end of a chapter stands back matter
    text = re.sub(r"<(note|speaker)\b.*?</\1>", " ", text, flags=re.DOTALL)
    # Words that the translators added lack their spaces at times. A pronoun written onto the word before it alone is
    # an enclitic ("sáca" + "lo") and stays there; every other added word stands by itself.
    pronoun = r"(?<=\w)(?:</w>)?<transChange[^>]*>(lo|la|los|las|le|les|me|te|nos|os)</transChange>(?!<w)"
    text = re.sub(pronoun, r"\1", text)
    text = re.sub(r"</?(?:transChange|l|lg|lb|div|title|item|list)\b[^>]*>", " ", text)
    text = unicodedata.normalize("NFC", html.unescape(re.sub(r"<[^>]*>", "", text)))
    text = re.sub(r"\s+(?=[,.;:?!)’”])|(?<=[(¿¡‘“—])\s+", "", text)
    text = re.sub(r"(?<=”)(?=\w)", " ", text)
    return " ".join(text.split())


def read(module: str) -> dict[Key, str]:
    """Every non-empty verse of a module in its own order; introductions (chapter or verse 0) are left out."""
    verses = {}
    for entry in dump(module).split("\n$$$"):
        name, _, markup = entry.partition("\n")
        key = re.fullmatch(r"(.+) ([1-9]\d*):([1-9]\d*)", name)
        if key and (text := plain(markup)):
            verses[key[1], int(key[2]), int(key[3])] = text
    return verses


def without_subscription(text: str) -> str:
    """Drops where and by whom an epistle was sent, which the Spanish edition prints after its closing Amen."""
    return re.sub(r"(?<=Amén\.) [^¿¡]*\b[Ee](?:scrita|nviada) .*$", "", text)


def spanish_key() -> dict[Key, Key | None]:
    """The Spanish key of each English one that differs, and None for one that has no single counterpart."""
    keys: dict[Key, Key | None] = {}
    for book, chapter, first, last, spanish_chapter, spanish_first in RENUMBERED:
        for verse in range(first, last + 1):
            keys[book, chapter, verse] = (book, spanish_chapter, spanish_first + verse - first)
    for book, chapter, first, last in DIVIDED_DIFFERENTLY:
        keys.update({(book, chapter, verse): None for verse in range(first, last + 1)})
    return keys


def rows() -> Iterator[str]:
    """The lines of the corpus: the verses that both editions have, under the English edition's numbers."""
    english, spanish, differs = read(ENGLISH), read(SPANISH), spanish_key()
    for key, text in english.items():
        counterpart = differs.get(key, key)
        if counterpart in spanish:
            translation = without_subscription(spanish[counterpart])
            if not (WORDS.fullmatch(text) and WORDS.fullmatch(translation)):
                raise SystemExit(f"{key} is more than words: {text!r}, {translation!r}; have the packages changed?")
            yield "\t".join((*map(str, key), text, translation)) + "\n"


def main() -> None:
    lines = list(rows())
    text = (HEADER + "".join(lines)).encode()
    packed = lzma.compress(text, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, filters=[COMPRESSION])
    CORPUS.write_bytes(packed)
    print(f"{len(lines)} verses, {len(text)} bytes, sha256 {hashlib.sha256(text).hexdigest()}")
    print(f"{CORPUS.name}: {len(packed)} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
