"""Training: the loop, its state and its log, the run folder, and the preparation of data."""
