"""From corpora on disk to batches: examples, their lengths, signals and targets."""
