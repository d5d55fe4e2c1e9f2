"""A known text and a long recording, of which each may have parts that the other lacks."""
