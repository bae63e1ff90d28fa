"""`python -m formal_tx.cli` is `formal-tx`."""

from . import main

main()
