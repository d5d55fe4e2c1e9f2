"""Average the weights of a model and of one trained on from it: average_weights.py MODEL TUNED OUT SHARE.

The average keeps more of what MODEL reads well than TUNED does (Wortsman et al. 2022, "Robust fine-tuning of
zero-shot models"). SHARE is the weight of TUNED, from 0 to 1. OUT has the card, the pronunciations and the
decoder of MODEL, and float32 weights.
"""

import sys
from typing import Any

import numpy as np

from common.decoding.storage import MODEL
from common.files.model_file import read_model, write_model


def average(first: str, second: str, target: str, share: float) -> None:
    """Write the model of file `first` to `target`, with `share` of the weights of `second`.

    Raises:
        ValueError: the models have other symbols or other weights, or the share is not from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share is {share:g}; give a number from 0 to 1")
    ours, theirs = read_model(first), read_model(second)
    if _labels(ours.header) != _labels(theirs.header):
        raise ValueError(f"{second}: has other symbols than {first}; train it on from there")
    tensors = dict(ours.tensors)
    for name, values in ours.tensors.items():
        if name.startswith(MODEL) or not np.issubdtype(values.dtype, np.floating):
            continue  # language models of the decoder, and counts
        other = theirs.tensors.get(name)
        if other is None or other.shape != values.shape:
            raise ValueError(f"{second}: has no {name} like that of {first}; train it on from there")
        tensors[name] = (values.astype(np.float64) * (1 - share) + other * share).astype(np.float32)
    write_model(target, tensors, ours.header)


def _labels(header: dict[str, Any]) -> Any:
    """Return what the labels of a network stand for; models of phones may have other pronunciations."""
    return header["alphabet"].get("phones", header["alphabet"])


if __name__ == "__main__":
    average(*sys.argv[1:4], float(sys.argv[4]))
