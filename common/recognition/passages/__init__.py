"""From the segments of sources to passages: what is read in several windows is joined."""
