"""The prefix tree of pronunciations, with all words that each of them says."""

from collections.abc import Sequence

import numpy as np

from common.decoding.beam.lexicon import NO_WORD, Lexicon
from common.text.phonetic.phones import FIRST_CODE, SPACE_LABEL, Phones


class PronunciationTree:
    """The pronunciations of words as a tree over the labels of phones.

        THE  DH AH                     homophones end at one node
        TO   T UW     root - T - UW    TO, TWO
        TWO  T UW

    Args:
        phones: the labels and the pronunciations.
        allowed: whether each of `phones.words` is possible; None for all.

    Attributes:
        tree: its "words" are the different pronunciations.
        first, word: the words of pronunciation p are word[first[p] : first[p + 1]], as indices in
            `phones.words`, in the order of the file.

    Raises:
        ValueError: no word is possible.
    """

    def __init__(self, phones: Phones, allowed: np.ndarray | None = None) -> None:
        numbers = {word: number for number, word in enumerate(phones.words)}
        word = np.fromiter(map(numbers.__getitem__, phones.said), np.int64, len(phones.said))
        places: dict[str, int] = {}  # of the different pronunciations, in the order of the file
        place = np.array([places.setdefault(sounds, len(places)) for sounds in phones.sounds], np.int64)
        different = list(places)
        if allowed is not None:
            place, word = place[allowed[word]], word[allowed[word]]
            kept, place = np.unique(place, return_inverse=True)
            different = [different[one] for one in kept]
        if not different:
            raise ValueError("no word that is allowed has a pronunciation; give pronunciations of the words")
        symbols = ("", *(chr(FIRST_CODE + label) for label in range(1, phones.classes)))
        self.tree = Lexicon(different, symbols, "pronunciations")
        self.first = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=len(different)))])
        self.word = word[np.argsort(place, kind="stable")]

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.tree)

    def homophones(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the words (W,) that end at `nodes` (N,), after the index (W,) in `nodes` of each."""
        said = self.tree.word[nodes]
        counts = np.where(said == NO_WORD, 0, self.first[said + 1] - self.first[said])
        row = np.repeat(np.arange(len(nodes)), counts)
        offsets = np.cumsum(counts) - counts
        return row, self.word[self.first[said[row]] + np.arange(len(row)) - offsets[row]]

    def best_below(self, values: np.ndarray) -> np.ndarray:
        """Return the largest of `values` (words,) among the words that end at each node or below it."""
        return self.tree.best_below(np.maximum.reduceat(values[self.word], self.first[:-1]))

    def node(self, labels: Sequence[int]) -> int:
        """Return the node of the labels of phones; -1 if no word begins so."""
        node = np.zeros(1, np.int64)
        for label in labels:
            node = self.tree.child(node, np.array([label]))
            if node[0] < 0:
                break
        return int(node[0])


def runs(labels: Sequence[int]) -> list[range]:
    """Return the places of the phones of each word: of all labels between two spaces."""
    spaces = [place for place, label in enumerate(labels) if label == SPACE_LABEL]
    edges = zip([-1, *spaces], [*spaces, len(labels)], strict=True)
    return [range(before + 1, after) for before, after in edges if after > before + 1]
