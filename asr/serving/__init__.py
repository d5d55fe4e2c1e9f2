"""Transcription over HTTP and by websocket, as OpenAI's interface has it."""
