"""Prefix beam search for CTC on NumPy arrays or torch tensors, with the scorers that join it."""
