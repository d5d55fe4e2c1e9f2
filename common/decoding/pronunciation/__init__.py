"""The search for words by their sound: the tree of pronunciations, its scorer, and the words found."""
