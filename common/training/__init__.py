"""The training loop, what it is made of, and the preparation of its data."""
