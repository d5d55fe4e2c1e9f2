"""From a recording to its utterances."""
