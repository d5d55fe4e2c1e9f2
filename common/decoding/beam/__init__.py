"""Prefix beam search for CTC, over NumPy arrays or torch tensors, with everything that scores a prefix."""
