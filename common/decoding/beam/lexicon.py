"""A lexicon: a prefix tree of words, stored in arrays level by level."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.files.plain_text import read_lines

NO_WORD = NO_LABEL = -1
TRIE_ROOT = 0


class Lexicon:
    """The prefix tree of the words that a set of labels can spell.

    Nodes are numbered level by level; the children of a node are neighbours, sorted by label; 0 is the root.

    Args:
        words: the words; of equal words, the first one is used.
        symbols: what each of the C labels writes; "" for the blank.
        name: name of the lexicon in error messages.

    Attributes:
        words: as given.
        unspelled: the indices in `words` of those that the labels cannot spell; they are not in the tree.
        parent, label: (nodes,) int64 of each node; those of the root have no meaning.
        word: (nodes,) int64, the index in `words` of the word that ends at each node; -1 if none does.
        first_child: (nodes + 1,) int64; the children of node n are first_child[n] to first_child[n + 1] - 1.
        levels: the first node of each level, then the number of nodes.

    Raises:
        ValueError: the labels can spell none of the words.
    """

    def __init__(self, words: Sequence[str], symbols: Sequence[str], name: str = "lexicon") -> None:
        self.words, self.classes = tuple(words), len(symbols)
        numbers, lengths, labels, self.unspelled = _spell(self.words, symbols)
        if not len(numbers):
            named = f", such as {self.words[0]!r}" if self.words else ""
            raise ValueError(
                f"{name}: the alphabet can spell none of its {len(self.words)} words{named}; "
                "write them in its letters"
            )
        table = np.zeros((len(numbers), lengths.max()), np.int64)  # (W, longest)
        table[np.arange(table.shape[1]) < lengths[:, None]] = labels
        self._grow(numbers, lengths, table)

    def _grow(self, numbers: np.ndarray, lengths: np.ndarray, table: np.ndarray) -> None:
        """Build the tree of words.

        Args:
            numbers: (W,) indices of the words.
            lengths: (W,) number of labels of each word.
            table: (W, longest) labels of each word, padded.
        """
        parents, labels, words = [np.array([TRIE_ROOT])], [np.array([0])], [np.array([NO_WORD])]
        at = np.full(len(numbers), TRIE_ROOT)  # the node of each word
        self.levels = [0, 1]
        for depth in range(table.shape[1]):
            (longer,) = np.nonzero(lengths > depth)
            keys, at[longer] = np.unique(
                at[longer] * self.classes + table[longer, depth], return_inverse=True
            )
            ending = longer[lengths[longer] == depth + 1]
            word = np.full(len(keys), NO_WORD)
            word[at[ending[::-1]]] = numbers[ending[::-1]]
            at[longer] += self.levels[-1]
            parents.append(keys // self.classes)
            labels.append(keys % self.classes)
            words.append(word)
            self.levels.append(self.levels[-1] + len(keys))
        self.parent, self.label, self.word = (np.concatenate(parts) for parts in (parents, labels, words))
        self._keys = self.parent * self.classes + self.label  # sorted: parents rise from level to level
        self._keys[TRIE_ROOT] = -1
        self.first_child = np.searchsorted(self._keys, np.arange(len(self.parent) + 1) * self.classes)

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.parent)

    def child(self, nodes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the child (N,) of each node by its label; -1 if there is none."""
        wanted = nodes * self.classes + labels
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[places] == wanted, places, -1)

    def best_below(self, values: np.ndarray) -> np.ndarray:
        """Return the largest of `values` (words,) among the words that end at each node or below it."""
        best = np.where(self.word == NO_WORD, -np.inf, values[self.word])
        for first, end in list(zip(self.levels, self.levels[1:], strict=False))[:0:-1]:
            np.maximum.at(best, self.parent[first:end], best[first:end])
        return best


class _Spelling(NamedTuple):
    """The labels that spell W words.

    numbers: (W,) indices of the words.
    lengths: (W,) number of labels of each word.
    labels: (letters,) labels of all words, one word after the other.
    unspelled: indices of the words that the labels cannot spell.
    """

    numbers: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    unspelled: list[int]


def _spell(words: Sequence[str], symbols: Sequence[str]) -> _Spelling:
    """Return the labels that spell `words`; of equal words, the first one is used.

    All letters are looked up at once: word by word, 30,000 words would take 50 ms at every start.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(words):
        places.setdefault(word, place)
    numbers = np.fromiter(places.values(), np.int64, len(places))
    lengths = np.fromiter(map(len, places), np.int64, len(places))
    letters = np.frombuffer("".join(places).encode("utf-32-le", "surrogatepass"), np.uint32)
    label_of = np.full(int(letters.max(initial=0)) + 1, NO_LABEL)
    for label, symbol in enumerate(symbols):
        if len(symbol) == 1 and ord(symbol) < len(label_of):
            label_of[ord(symbol)] = label
    labels = label_of[letters]
    lacking = np.concatenate([[0], np.cumsum(labels == NO_LABEL)])  # missing labels before each letter
    ends = np.cumsum(lengths)
    whole = (lengths > 0) & (lacking[ends] == lacking[ends - lengths])
    unspelled = numbers[~whole].tolist()
    return _Spelling(numbers[whole], lengths[whole], labels[np.repeat(whole, lengths)], unspelled)


def read_words(path: Path) -> list[str]:
    """Return the words or phrases in a file, one for each line; empty lines are skipped.

    Raises:
        ValueError: the file does not exist, is not UTF-8, or has no words.
    """
    words = [" ".join(line.split()) for line in read_lines(path) if line.strip()]
    if not words:
        raise ValueError(f"{path}: holds no word; write one a line")
    return words
