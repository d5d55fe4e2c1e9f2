"""The scorer of words by their sound: an automaton over phones that joins the beam search.

Where a pronunciation is complete, each of its words may have been said. So a state has several histories,
each with its context in the language model and its score behind that of the best:

    T UW _        TO 0.0 | TWO -2.1 | TOO -3.4
    ... M EH N _  TO MEN -4.2 | TWO MEN 0.0        the best history now is another one

The gain of a prefix of phones is that of its best history: the search finds the phones and words that are
best together (Viterbi), and `common.decoding.pronunciation.words` finds those words again at its end.
"""

import copy
from typing import NamedTuple

import numpy as np

from common.decoding.beam.lexicon import NO_WORD, TRIE_ROOT
from common.decoding.pronunciation.tree import PronunciationTree
from common.language.ngram import END_ID, NGram
from common.text.phonetic.phones import SPACE_LABEL

HISTORIES = 8
"""histories that a state has at most"""
UNFINISHED = 1000.0
"""subtracted for a last word that the end of the signal cuts short"""
PRECISION = 6
"""decimal places of scores that are compared"""


class Completed(NamedTuple):
    """W completed words, each after a history.

    row: (W,) index of the state or history that each word follows.
    word: (W,) index of the word.
    score: (W,) of the history together with the word.
    context: (W,) in the language model, after the word.
    """

    row: np.ndarray
    word: np.ndarray
    score: np.ndarray
    context: np.ndarray


class WordScores:
    """The tree of pronunciations with the scores of its words: what `PronunciationScorer` adds at their end.

    Args:
        tree: the pronunciations.
        words: all words of the tree, by their index.
        model: n-grams over words, or None.
        weight: weight of its natural log-probabilities.
        bonus: added for each word.
        penalties: (words,) subtracted for each word.
    """

    def __init__(
        self,
        tree: PronunciationTree,
        words: tuple[str, ...],
        model: NGram | None,
        weight: float,
        bonus: float,
        penalties: np.ndarray,
    ) -> None:
        self.tree, self.model, self.weight, self.bonus = tree, model, weight, bonus
        self.penalties = penalties
        self.start = model.start if model else 0
        self._token = np.array(model.ids(words) if model else np.zeros(len(words)), np.int64)

    def expected(self) -> np.ndarray:
        """Return the gain (nodes,) of the beginning of a word so far: that of its best word by itself."""
        if self.model is None:
            return np.zeros(len(self.tree))
        alone = self.model.score(np.zeros_like(self._token), self._token)[0].astype(np.float64)
        best = self.tree.best_below(self.weight * alone - self.penalties)
        best[TRIE_ROOT] = 0.0
        return best

    def completed(self, nodes: np.ndarray, contexts: np.ndarray, scores: np.ndarray) -> Completed:
        """Return the words that end at `nodes` (N,), after histories with these contexts and scores (N,)."""
        row, word = self.tree.homophones(nodes)
        score, context = scores[row] + self.bonus - self.penalties[word], contexts[row]
        if self.model is not None and len(row):
            log_prob, context = self.model.score(context, self._token[word])
            score = score + self.weight * log_prob.astype(np.float64)
        return Completed(row, word, score, context.astype(np.int64))

    def ended(self, contexts: np.ndarray) -> np.ndarray:
        """Return the gain (N,) of the end of the text after each of `contexts` (N,)."""
        if self.model is None:
            return np.zeros(len(contexts))
        return self.weight * self.model.score(contexts, np.full(len(contexts), END_ID))[0].astype(np.float64)


def kept_histories(scores: np.ndarray, contexts: np.ndarray) -> np.ndarray:
    """Return the indices of the best histories, best first: one for each context, at most HISTORIES."""
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(contexts[order], return_index=True)
    return order[np.sort(first)][:HISTORIES]


class PronunciationScorer:
    """The words of a tree of pronunciations, and a language model over words.

    As in `WordScorer`, the score of a word is added at its end, and look-ahead (Ortmanns et al. 1996) gives a
    part of it before. Only words of the tree are possible, except for a last word that the end of the signal
    cuts short, and a space follows a word.

    A state is the number of its set of histories, times the number of nodes, plus the node.

    Args:
        scores: the tree and the scores of its words.
        classes: C, of the network.
    """

    def __init__(self, scores: WordScores, classes: int) -> None:
        self.scores, self._classes, self._nodes = scores, classes, len(scores.tree)
        self._expected = scores.expected()
        self._forget()
        self.start = TRIE_ROOT + self._nodes * self._number(np.array([scores.start]), np.zeros(1))

    def _forget(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._contexts = np.zeros((1024, HISTORIES), np.int64)
        self._behind = np.full((1024, HISTORIES), -np.inf)

    def emptied(self) -> "PronunciationScorer":
        """Return the same scorer without any sets of histories but that of the start."""
        new = copy.copy(self)
        new._forget()
        new._number(np.array([self.scores.start]), np.zeros(1))
        return new

    def adopt(self, other: "PronunciationScorer", states: np.ndarray) -> np.ndarray:
        """Return the states (N,) here of the prefixes with these `states` (N,) in `other`."""
        numbers, nodes = np.divmod(states, self._nodes)
        known, place = np.unique(numbers, return_inverse=True)
        counts = (other._behind[known] > -np.inf).sum(1)
        here = [
            self._number(other._contexts[one, :count], other._behind[one, :count])
            for one, count in zip(known, counts, strict=True)
        ]
        return np.array(here, np.int64)[place] * self._nodes + nodes

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Return the gain of each label in `states`: (N, C)."""
        number, node = np.divmod(states, self._nodes)
        tree = self.scores.tree.tree
        rows = np.full((len(states), self._classes), -np.inf)
        first = tree.first_child[node]
        counts = tree.first_child[node + 1] - first
        row = np.repeat(np.arange(len(states)), counts)
        child = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        rows[row, tree.label[child]] = self._expected[child] - self._expected[node[row]]
        rows[:, SPACE_LABEL] = self._best(self._completed(number, node), len(states)) - self._expected[node]
        return rows

    def advance(self, states: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the next states (N,) after `labels` (N,) are appended, which `rows` allows."""
        number, node = np.divmod(states, self._nodes)
        following = np.maximum(self.scores.tree.tree.child(node, labels), TRIE_ROOT) + number * self._nodes
        (ending,) = np.nonzero(labels == SPACE_LABEL)
        found = self._completed(number[ending], node[ending])
        parts = np.searchsorted(found.row, np.arange(len(ending) + 1))
        for place, first, end in zip(ending, parts, parts[1:], strict=False):
            here = slice(first, end)
            if first < end:
                kept = kept_histories(found.score[here], found.context[here])
                after = self._number(found.context[here][kept], found.score[here][kept])
                following[place] = TRIE_ROOT + self._nodes * after
        return following

    def final(self, states: np.ndarray) -> np.ndarray:
        """Return the gain (N,) of ending the text."""
        number, node = np.divmod(states, self._nodes)
        row, place = np.nonzero(self._behind[number] > -np.inf)
        contexts, behind = self._contexts[number[row], place], self._behind[number[row], place]
        between = np.full(len(states), -np.inf)
        np.maximum.at(between, row, behind + self.scores.ended(contexts))
        found = self._completed(number, node)
        found = found._replace(score=found.score + self.scores.ended(found.context))
        whole = self._best(found, len(states)) - self._expected[node]
        short = between + self.scores.bonus - UNFINISHED - self._expected[node]
        complete = self.scores.tree.tree.word[node] != NO_WORD
        return np.where(node == TRIE_ROOT, between, np.where(complete, whole, short))

    def _completed(self, number: np.ndarray, node: np.ndarray) -> Completed:
        """Return the words that end in states (N,), after each of their histories.

        Rows are the indices of the states, in rising order.
        """
        (ends,) = np.nonzero(self.scores.tree.tree.word[node] != NO_WORD)
        place, column = np.nonzero(self._behind[number[ends]] > -np.inf)
        row = ends[place]
        contexts, behind = self._contexts[number[row], column], self._behind[number[row], column]
        found = self.scores.completed(node[row], contexts, behind)
        return found._replace(row=row[found.row])

    @staticmethod
    def _best(found: Completed, states: int) -> np.ndarray:
        """Return the best score (N,) of the words of each of N states; -inf without a word."""
        best = np.full(states, -np.inf)
        np.maximum.at(best, found.row, found.score)
        return best

    def _number(self, contexts: np.ndarray, scores: np.ndarray) -> int:
        """Return the number of a set of histories, best first; a new set gets the next one."""
        behind = np.round(scores - scores[0], PRECISION)
        key = contexts.tobytes() + behind.tobytes()
        number = self._numbers.setdefault(key, len(self._numbers))
        if number == len(self._contexts):
            self._contexts = np.concatenate([self._contexts, np.zeros_like(self._contexts)])
            self._behind = np.concatenate([self._behind, np.full_like(self._behind, -np.inf)])
        self._contexts[number, : len(contexts)], self._behind[number, : len(behind)] = contexts, behind
        return number
