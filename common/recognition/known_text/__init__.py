"""A text that is known, and its place in a long recording."""
