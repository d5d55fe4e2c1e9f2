"""Documents of speech as subtitles and lyrics."""
