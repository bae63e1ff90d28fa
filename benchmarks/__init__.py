"""How fast, against what one would use instead: one script a question, `python -m benchmarks.NAME`."""
