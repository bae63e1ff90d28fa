"""From lines of results to README's table and to plots."""
