"""Write a corpus of the copy problem: python copying_corpus.py FOLDER --blanks 100."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

SYMBOLS = "abcdefgh"
BLANK, MARK = 8, 9
"""Channels of the input beside those of the symbols, 0 to 7."""
COPIED = 10
"""Symbols of a sequence."""


def draw_inputs(count: int, blanks: int, rng: np.random.Generator) -> np.ndarray:
    """Return channels (count, blanks + 20), uint8: symbols, `blanks` - 1 blanks, the mark, 10 blanks.

    As Arjovsky, Shah and Bengio (2016), section 4.1, with their T as `blanks`.
    """
    inputs = np.full((count, blanks + 2 * COPIED), BLANK, dtype=np.uint8)
    inputs[:, :COPIED] = rng.integers(len(SYMBOLS), size=(count, COPIED))
    inputs[:, COPIED + blanks - 1] = MARK
    return inputs


def manifest_line(name: str, channels: np.ndarray) -> str:
    """Return the JSON line of a sequence (S,): which symbol is wanted at which of the last 10 steps."""
    symbols = [SYMBOLS[channel] for channel in channels[:COPIED]]
    start = len(channels) - COPIED
    words = [[symbol, start + place, start + place + 1] for place, symbol in enumerate(symbols)]
    return json.dumps({"source": name, "steps": len(channels), "text": " ".join(symbols), "words": words})


@dataclass(frozen=True)
class CopyingCorpus:
    """Write FOLDER/train.jsonl and FOLDER/dev.jsonl, each with an .npy of inputs; no sequence is in both."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Where to; it is made."""
    blanks: int = 100
    """T: steps from the last symbol to the mark."""
    train: int = 10_000
    """Sequences to learn from."""
    dev: int = 500
    """Sequences to measure on."""
    seed: int = 1
    """Of the symbols."""

    def __post_init__(self) -> None:
        for name in ("blanks", "train", "dev"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; 1 or more is wanted")


def write_corpus(corpus: CopyingCorpus) -> None:
    """Write it."""
    corpus.folder.mkdir(parents=True, exist_ok=True)
    drawn = draw_inputs(2 * (corpus.train + corpus.dev), corpus.blanks, np.random.default_rng(corpus.seed))
    _, first = np.unique(drawn[:, :COPIED], axis=0, return_index=True)
    different = drawn[np.sort(first)]  # of 8^10 possible ones
    parts = {"train": different[: corpus.train], "dev": different[corpus.train : corpus.train + corpus.dev]}
    for name, inputs in parts.items():
        np.save(corpus.folder / f"{name}.npy", inputs)
        lines = [manifest_line(f"{name}.npy::{row}", channels) for row, channels in enumerate(inputs)]
        (corpus.folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_corpus(tyro.cli(CopyingCorpus))
