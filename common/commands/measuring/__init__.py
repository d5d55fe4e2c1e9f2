"""What the verbs evaluate and export measure with: labels, comparison with torch, tuning of the search."""
