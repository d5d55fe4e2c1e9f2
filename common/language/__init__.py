"""Language models without torch: n-grams, their estimation and ARPA files, and a recurrent network."""
