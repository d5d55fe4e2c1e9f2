"""Sound in files that libsndfile does not read, or does not measure."""
