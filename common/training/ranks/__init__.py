"""Several processes of one run: they agree at the start and end together."""
