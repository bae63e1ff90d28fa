"""The mistakes that people make with the systems of the reading list, one file a system."""
