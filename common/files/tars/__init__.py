"""Files within tars, on disk or at addresses that fsspec reads."""
