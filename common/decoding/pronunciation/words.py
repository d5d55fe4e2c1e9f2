"""From phones to words: what a decoder writes for the labels that it has found."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from common.decoding.greedy import Hit
from common.decoding.pronunciation.scorer import WordScores, kept_histories
from common.decoding.pronunciation.tree import runs
from common.text.phonetic.phones import FIRST_CODE, Phones


class WordFinder:
    """Puts words in place of their phones.

    Without scores, as after greedy decoding, a word is the first in the file that sounds so; with those of a
    beam search, all words of a text are those that are best together. Phones that say no word stay.

    Args:
        phones: the labels and the pronunciations.
        scores: of the beam search, or None.
    """

    def __init__(self, phones: Phones, scores: WordScores | None = None) -> None:
        self._phones, self._scores = phones, scores

    @cached_property
    def _first(self) -> dict[str, int]:
        """The first word that each pronunciation says."""
        numbers = {word: number for number, word in enumerate(self._phones.words)}
        said = zip(reversed(self._phones.sounds), reversed(self._phones.said), strict=True)
        return {sounds: numbers[word] for sounds, word in said}

    def labels(self, labels: Sequence[int]) -> list[int]:
        """Return labels of words, spaces, and phones that say no word."""
        found: list[int] = []
        written = 0
        for run, word in self._words(labels):
            found += [*labels[written : run.start], self._phones.classes + word]
            written = run.stop
        return [*found, *labels[written:]]

    def hits(self, hits: Sequence[Hit]) -> list[Hit]:
        """Return hits of words, spaces, and phones that say no word.

        A word has the steps of its phones; its confidence is their product, its peak that of the first.
        """
        found: list[Hit] = []
        written = 0
        for run, word in self._words([hit.label for hit in hits]):
            first, last = hits[run.start], hits[run.stop - 1]
            confidence = float(np.prod([hits[place].confidence for place in run]))
            label = self._phones.classes + word
            found += [*hits[written : run.start], Hit(label, first.start, last.end, confidence, first.peak)]
            written = run.stop
        return [*found, *hits[written:]]

    def _words(self, labels: Sequence[int]) -> list[tuple[range, int]]:
        """Return the places of the phones of each word, and the word."""
        places = runs(labels)
        if self._scores is not None:
            said = [self._scores.tree.node([labels[place] for place in run]) for run in places]
            return _best_words(self._scores, list(zip(places, said, strict=True)))
        sounds = ["".join(chr(FIRST_CODE + labels[place]) for place in run) for run in places]
        known = [(run, self._first.get(one)) for run, one in zip(places, sounds, strict=True)]
        return [(run, word) for run, word in known if word is not None]


def _best_words(scores: WordScores, said: Sequence[tuple[range, int]]) -> list[tuple[range, int]]:
    """Return the words that are best together, for nodes of the tree and the places of their phones.

    This is the search of `PronunciationScorer` along one text, which also keeps where histories came from.
    """
    contexts, behind = np.array([scores.start]), np.zeros(1)
    steps: list[tuple[range, np.ndarray, np.ndarray]] = []  # places, words, and the histories they follow
    for run, node in said:
        nodes = np.full(len(contexts), max(node, 0))
        found = scores.completed(nodes, contexts, behind)
        if node < 0 or not len(found.word):  # cut short by the end
            continue
        kept = kept_histories(found.score, found.context)
        contexts, behind = found.context[kept], found.score[kept]
        steps.append((run, found.word[kept], found.row[kept]))
    history = int((behind + scores.ended(contexts)).argmax())
    words: list[tuple[range, int]] = []
    for run, word, before in reversed(steps):
        words.append((run, int(word[history])))
        history = int(before[history])
    return words[::-1]
