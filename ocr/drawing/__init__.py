"""Lines that are drawn: texts, fonts, type on a line, and the paper, screen or scan that shows it."""
