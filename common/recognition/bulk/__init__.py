"""Transcribing more than one machine does in a day: lists, shares of them, and rows that survive a kill."""
