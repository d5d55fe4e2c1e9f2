"""Work on files that blocks: threads for it, and what happens when it does not end."""
