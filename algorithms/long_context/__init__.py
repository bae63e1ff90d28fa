"""Long context: the systems of the reading list in the paper's notation, one file each."""
