"""From signals to transcripts: what a modality is, and the recognizers on torch and on onnxruntime."""
