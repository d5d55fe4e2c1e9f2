"""What reading and writing ALTO and PAGE have in common."""
