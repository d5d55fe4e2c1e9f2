"""Documents as the files that libraries and archives exchange."""
