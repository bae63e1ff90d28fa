"""Long context, the longest heading of the reading list: one file a system, each a pure function made of the core's."""
