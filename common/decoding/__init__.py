"""From log-probabilities to labels."""
