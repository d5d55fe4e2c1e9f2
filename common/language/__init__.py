"""Language models without torch: n-grams, their ARPA files, their estimation, a recurrent network."""
