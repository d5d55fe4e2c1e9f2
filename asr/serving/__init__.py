"""Transcription over HTTP as OpenAI's interface has it."""
