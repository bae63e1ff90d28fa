"""The special tokens, which stand at the end of the vocabulary (section 4), counted from 0, unless they are given."""


class Vocabulary:
    """Whatever has a vocabulary of `N_V` tokens, the three special ones included.

    `special_tokens` are their ids, of mask, bos and eos, in a vocabulary that has them elsewhere.
    """

    N_V: int
    special_tokens: tuple[int, int, int] | None = None

    @property
    def mask_token(self) -> int:
        """Stands for a token to be guessed: N_V - 3 (the paper's N_V - 2)."""
        return self.special_tokens[0] if self.special_tokens else self.N_V - 3

    @property
    def bos_token(self) -> int:
        """Stands before the first token of a text: N_V - 2."""
        return self.special_tokens[1] if self.special_tokens else self.N_V - 2

    @property
    def eos_token(self) -> int:
        """Stands after the last token of a text: N_V - 1."""
        return self.special_tokens[2] if self.special_tokens else self.N_V - 1
