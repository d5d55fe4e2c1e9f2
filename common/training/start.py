"""Starting a run from the weights of another model (`--start-from`)."""

import logging
from dataclasses import asdict

import torch

from common.recognition.recognizer import Recognizer
from common.training.folder import changed_settings

log = logging.getLogger(__name__)

HEADS = ("head.", "shortcut.")
"""prefixes of the weights of heads"""
CLASS_LAYERS = ("head.linear.", "shortcut.")
"""prefixes of the weights that have one row for each class"""


def copy_weights(recognizer: Recognizer, other: Recognizer) -> None:
    """Copy the weights of `other` into `recognizer`.

    Front end and encoder are copied whole. In the layers of a head that have one row for each class, the rows
    of the symbols that both alphabets have are copied, and the other rows keep their first weights. A head of
    another task is not copied.

    Raises:
        ValueError: a weight that is copied whole has another shape in `other`, or is missing there and is not
            one of a head.
    """
    changed = changed_settings(asdict(other.config), asdict(recognizer.config))
    differing = ", ".join(f"{name} {theirs} (here {ours})" for name, (theirs, ours) in changed.items())
    pairs = _shared_rows(recognizer, other)
    state, same_task = other.state_dict(), other.task == recognizer.task
    for name, value in recognizer.state_dict().items():
        if name.startswith(HEADS) and (name not in state or not same_task):
            continue
        if name.startswith(CLASS_LAYERS) and value.shape[1:] == state[name].shape[1:]:
            value[pairs[:, 0]] = state[name][pairs[:, 1]]
        elif name in state and value.shape == state[name].shape:
            value.copy_(state[name])
        else:
            raise ValueError(f"--start-from: that model has {differing}; give the same settings here")
    symbols = recognizer.alphabet.symbols
    shared = len(set(symbols) & set(other.alphabet.symbols))
    log.info("starting from a model that knows %d of %d symbols", shared, len(symbols))
    if differing:
        log.info("its settings were others, but its weights fit: %s", differing)


def _shared_rows(recognizer: Recognizer, other: Recognizer) -> torch.Tensor:
    """Return the rows (N, 2) of the classes that both models have: the row here and the row in `other`."""
    theirs = {symbol: row for row, symbol in enumerate(other.alphabet.symbols, 1)}
    ours = enumerate(recognizer.alphabet.symbols, 1)
    pairs = [(row, theirs[symbol]) for row, symbol in ours if symbol in theirs]
    if other.task == "classify":  # it has no class 0: row 0 is label 1
        return torch.tensor(pairs).reshape(-1, 2) - 1
    return torch.tensor([(0, 0), *pairs])
