"""Signals that are computed and transcribed while they arrive, with torch and with onnxruntime."""
