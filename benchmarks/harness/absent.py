"""A rival that cannot be timed here."""


class Absent(Exception):
    """A library, weights or recordings are not installed; the text says which. The results say so too."""
