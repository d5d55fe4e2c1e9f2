"""The core that `ocr` and `asr` share: recurrent encoder, CTC, decoding, training, models and their files."""
