"""GPT-2's way of writing bytes as characters, which the `tokenizers` library calls byte-level."""

# A byte that Latin-1 prints stands for itself; the others, in order, are the characters from U+0100 on.
_PRINTED = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_OTHERS = [byte for byte in range(256) if byte not in _PRINTED]

CHARACTERS = tuple(chr(byte if byte in _PRINTED else 0x100 + _OTHERS.index(byte)) for byte in range(256))
BYTES = {character: byte for byte, character in enumerate(CHARACTERS)}


def to_bytes(token: str) -> bytes:
    """The bytes that a token of a byte-level vocabulary stands for."""
    return bytes(BYTES[character] for character in token)
