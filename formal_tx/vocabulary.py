"""The special tokens, which stand at the end of the vocabulary (section 4), counted from 0."""


class Vocabulary:
    """Whatever has a vocabulary of `N_V` tokens, the three special ones included."""

    N_V: int

    @property
    def mask_token(self) -> int:
        """Stands for a token to be guessed: N_V - 3 (the paper's N_V - 2)."""
        return self.N_V - 3

    @property
    def bos_token(self) -> int:
        """Stands before the first token of a text: N_V - 2."""
        return self.N_V - 2

    @property
    def eos_token(self) -> int:
        """Stands after the last token of a text: N_V - 1."""
        return self.N_V - 1
