"""Words by their sound: pronunciations, and models whose labels are phones."""
