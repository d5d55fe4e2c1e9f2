"""Formats of files, and safe writing: plain text, WAV, model files, names of sources."""
