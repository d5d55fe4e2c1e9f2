"""From log-probabilities to labels: greedy decoding, beam search, alignment and confidences."""
