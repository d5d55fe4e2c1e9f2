"""Round the log-probabilities of n-grams, so that the model compresses to less: round_ngrams.py LM OUT.

A log-probability or backoff weight changes by at most STEP / 2.
"""

import sys

import numpy as np

from common.language.loading import load_ngrams
from common.language.ngram import NGram

STEP = 1 / 32
"""natural logarithm; the rounded values are multiples of this"""
IMPOSSIBLE = -50.0
"""a value below this stands for probability 0 and is not rounded, such as that of the start of a text"""


def rounded(values: np.ndarray) -> np.ndarray:
    """Return log-probabilities or backoff weights (n,) as multiples of STEP."""
    return np.where(values < IMPOSSIBLE, values, np.round(values / STEP) * STEP).astype(values.dtype)


def round_ngrams(source: str, target: str) -> None:
    """Write the n-grams in the file `source` to `target` (.npz) with rounded log-probabilities.

    Raises:
        ValueError: `source` holds no n-grams.
    """
    arrays = load_ngrams(source).to_arrays()
    changed = {name: rounded(arrays[name]) for name in ("log_prob", "backoff")}
    NGram.from_arrays(arrays | changed).save(target)


if __name__ == "__main__":
    round_ngrams(*sys.argv[1:])
