"""The book: the executable edition as one web page that needs nothing else, made by running the code.

`page` makes its text, `write_book` writes it. `printed` is the paper's side, `editions` the two programs', `runs` what
the lines assign on a small input, `shapes` the shapes of that, `mistakes` what the
diagnosis knows, and `demo_model` the trained model that runs in the page.
"""

from .build import page, write_book

__all__ = ["page", "write_book"]
