"""Files as they are on disk: written whole or not at all, plain text, WAV, model files."""
