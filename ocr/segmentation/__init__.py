"""From a page to its lines."""
