"""The verb lm: its actions train, evaluate and sample language models, of n-grams or recurrent."""

ACTIONS = {
    "train": "Learn which characters or words follow each other: an n-gram model, or a recurrent one.",
    "evaluate": "Measure bits and perplexity of a text with one model, or with several.",
    "sample": "Draw texts from a recurrent model.",
}
"""modules of this package"""
