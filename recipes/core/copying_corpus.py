"""Write a corpus of the copy problem: python copying_corpus.py FOLDER --blanks 100."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.command_line.flag import Positional
from common.command_line.parser import parse

SYMBOLS = "abcdefgh"
BLANK, MARK = 8, 9
"""Channels of the blank and the mark; channels 0 to 7 are the symbols."""


@dataclass(frozen=True)
class CopyingCorpus:
    """Write FOLDER/train.jsonl and FOLDER/dev.jsonl, each with an .npy of inputs; they share no text."""

    folder: Positional[Path]
    """Folder to write into; it is created if it does not exist."""
    blanks: int = 100
    """T: number of steps from the last symbol to the mark."""
    copied: int = 10
    """Number of symbols of a sequence."""
    train: int = 10_000
    """Number of sequences to train on."""
    dev: int = 500
    """Number of sequences to measure on."""
    seed: int = 1
    """Seed of the symbols."""

    def __post_init__(self) -> None:
        for name in ("blanks", "copied", "train", "dev"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; 1 or more is wanted")
        if self.train + self.dev > len(SYMBOLS) ** self.copied:
            raise ValueError(
                f"{self.train} + {self.dev} sequences are wanted, but there are only"
                f" {len(SYMBOLS) ** self.copied} of {self.copied} symbols; lower train or raise copied"
            )


def draw_texts(count: int, copied: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` different rows (count, copied) of symbols from 0 to 7, in random order."""
    found = np.empty((0, copied), dtype=np.uint8)
    while len(found) < count:
        drawn = rng.integers(len(SYMBOLS), size=(2 * count, copied), dtype=np.uint8)
        found = np.unique(np.concatenate([found, drawn]), axis=0)
    return rng.permutation(found)[:count]


def build_inputs(texts: np.ndarray, blanks: int) -> np.ndarray:
    """Return channels (N, blanks + 2 x copied) of `texts` (N, copied): each text, blanks, the mark, blanks.

    This is the input of Arjovsky, Shah and Bengio (2016), with `blanks` for their T: the mark is the last of
    these steps, and after it there is a blank for each symbol to repeat.
    """
    copied = texts.shape[1]
    inputs = np.full((len(texts), blanks + 2 * copied), BLANK, dtype=np.uint8)
    inputs[:, :copied] = texts
    inputs[:, copied + blanks - 1] = MARK
    return inputs


def manifest_line(source: str, text: np.ndarray, steps: int) -> str:
    """Return the JSON line of a sequence, whose last steps have the symbols of `text` (copied,) as labels."""
    symbols = "".join(SYMBOLS[number] for number in text)
    places = [[symbol, step, step + 1] for step, symbol in enumerate(symbols, steps - len(symbols))]
    return json.dumps({"source": source, "steps": steps, "text": symbols, "characters": places})


def write_corpus(corpus: CopyingCorpus) -> None:
    """Write the corpus into its folder."""
    corpus.folder.mkdir(parents=True, exist_ok=True)
    texts = draw_texts(corpus.train + corpus.dev, corpus.copied, np.random.default_rng(corpus.seed))
    for name, part in {"train": texts[: corpus.train], "dev": texts[corpus.train :]}.items():
        inputs = build_inputs(part, corpus.blanks)
        np.save(corpus.folder / f"{name}.npy", inputs)
        lines = [manifest_line(f"{name}.npy::{row}", text, inputs.shape[1]) for row, text in enumerate(part)]
        (corpus.folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_corpus(parse(CopyingCorpus))
