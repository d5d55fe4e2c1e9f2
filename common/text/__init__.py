"""Symbols, transcripts, documents, error rates and the report: everything about text that needs no signal."""
