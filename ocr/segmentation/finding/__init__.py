"""From the ink of a page to its lines in reading order, without torch."""
