"""Several models read the same signal, and vote character by character."""
