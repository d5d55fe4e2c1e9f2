"""How well the lines and texts that are found on pages agree with those of transcribers."""
