"""Training data in tars: their indices, how they are written, and the order in which they are read."""
