"""Training runs: what they are configured with, what they write, and how they go on after they were stopped."""
