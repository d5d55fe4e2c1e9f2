"""Scorers for n-gram models, a lexicon and hot words: automata over labels that join the beam search."""

from collections.abc import Sequence

import numpy as np

from common.decoding.beam.lexicon import NO_WORD, TRIE_ROOT, Lexicon
from common.language.ngram import END_ID, UNKNOWN_ID, NGram


class CharacterScorer:
    """A language model over characters: each label gains weight x its log-probability + bonus.

    Args:
        model: a model over characters.
        symbols: what each of the C labels writes; "" for the blank. Symbols that the model lacks are <unk>.
        weight: weight of the natural log-probabilities.
        bonus: added for each label.
        ends: whether the end of the text is scored, too.
        unknown: log-probability of symbols that the model lacks; None for that of <unk>.

    Raises:
        ValueError: the model is over words.
    """

    def __init__(
        self,
        model: NGram,
        symbols: Sequence[str],
        weight: float,
        bonus: float = 0.0,
        ends: bool = True,
        unknown: float | None = None,
    ) -> None:
        if model.unit != "character":
            raise ValueError("a language model over words cannot score characters; use it as one over words")
        self.model, self.weight, self.bonus, self.ends = model, weight, bonus, ends
        self.start = model.start
        self._token = np.array(model.ids(symbols), np.int64)  # (C,)
        self.unknown = unknown

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Return the gain of each label in `states`: (N, C)."""
        rows = self.model.rows(states)[:, self._token].astype(np.float64)
        if self.unknown is not None:
            rows[:, self._token == UNKNOWN_ID] = self.unknown
        return self.weight * rows + self.bonus

    def advance(self, states: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the next states (N,) after `labels` (N,) are appended."""
        return self.model.score(states, self._token[labels])[1].astype(np.int64)

    def final(self, states: np.ndarray) -> np.ndarray:
        """Return the gain (N,) of ending the text."""
        if not self.ends:
            return np.zeros(len(states))
        return self.weight * self.model.score(states, np.full(len(states), END_ID))[0].astype(np.float64)


class WordScorer:
    """A lexicon and, optionally, a language model over words: the score of a word is added at its end.

    Look-ahead (Ortmanns et al. 1996): within a word of the lexicon, the gain so far is the unigram score of
    the best word that the letters can still become, and the end of the word gains the remainder. Without
    look-ahead, a text would seem better the longer its last word is. At the end of a word that is not in the
    lexicon, the model scores <unk> and the penalty is subtracted. A space at the start of the text or after
    another space is forbidden.

    Args:
        lexicon: the words.
        symbols: what each of the C labels writes; "" for the blank, one is " ".
        model: a model over words, or None.
        weight: weight of its natural log-probabilities.
        bonus: added for each word.
        penalty: subtracted for words that are not in the lexicon; infinity forbids them, except for a last
            word that the end of the text cuts short, which costs `unfinished`.
        lookahead: whether words gain before their end.
        ends: whether the end of the text is scored, too.
        unfinished: penalty for such a last word.

    Raises:
        ValueError: there is no label for the space, or the model is over characters.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        symbols: Sequence[str],
        model: NGram | None = None,
        weight: float = 1.0,
        bonus: float = 0.0,
        penalty: float = np.inf,
        lookahead: bool = True,
        ends: bool = True,
        unfinished: float = 1000.0,
    ) -> None:
        if " " not in symbols:
            raise ValueError("a lexicon needs a space in the alphabet, to see where words end; drop it")
        if model is not None and model.unit != "word":
            raise ValueError("a language model over characters cannot score words; train one over words")
        self.lexicon, self.model, self.weight, self.bonus = lexicon, model, weight, bonus
        self.penalty, self.ends, self.unfinished = penalty, ends, unfinished
        self._space, self._symbols = list(symbols).index(" "), len(symbols)
        self._contexts = len(model.token) if model else 1
        self._outside = len(lexicon)  # the node of letters that begin no word of the lexicon
        tokens = np.array(model.ids(lexicon.words) if model else [UNKNOWN_ID], np.int64)
        self._token = tokens[np.where(lexicon.word == NO_WORD, 0, lexicon.word)] if model else None
        self._expected = np.zeros(self._outside + 1)  # gain of the beginning of a word so far
        if lookahead and model is not None:
            unigrams = model.score(np.zeros_like(tokens), tokens)[0].astype(np.float64)
            self._expected[:-1] = weight * lexicon.best_below(unigrams)
            unknown = weight * float(model.score(np.zeros(1, np.int64), np.zeros(1, np.int64))[0][0])
            self._expected[-1] = unknown - penalty if np.isfinite(penalty) else 0.0
            self._expected[TRIE_ROOT] = 0.0
        self.start = model.start if model else 0

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Return the gain of each label in `states`: (N, C)."""
        lexicon = self.lexicon
        node, context = np.divmod(states, self._contexts)
        expected = self._expected[node]
        rows = np.full((len(states), self._symbols), -np.inf)
        if np.isfinite(self.penalty):
            rows[:] = (self._expected[self._outside] - expected)[:, None]
        inside = np.flatnonzero(node != self._outside)
        first = lexicon.first_child[node[inside]]
        counts = lexicon.first_child[node[inside] + 1] - first
        row, child = np.repeat(inside, counts), _ranges(first, counts)
        rows[row, lexicon.label[child]] = self._expected[child] - expected[row]
        rows[:, self._space] = np.where(node == TRIE_ROOT, -np.inf, self._ended(node, context)[0] - expected)
        return rows

    def advance(self, states: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the next states (N,) after `labels` (N,) are appended."""
        node, context = np.divmod(states, self._contexts)
        (ending,) = np.nonzero(labels == self._space)
        inside = np.where(node == self._outside, TRIE_ROOT, node)
        child = self.lexicon.child(inside, labels)
        child = np.where((child < 0) | (node == self._outside), self._outside, child)
        states = child * self._contexts + context
        if len(ending):
            states[ending] = TRIE_ROOT * self._contexts + self._ended(node[ending], context[ending])[1]
        return states

    def final(self, states: np.ndarray) -> np.ndarray:
        """Return the gain (N,) of ending the text."""
        node, context = np.divmod(states, self._contexts)
        gain, after = self._ended(node, context, self.unfinished)
        gain = np.where(node == TRIE_ROOT, 0.0, gain - self._expected[node])
        if self.ends and self.model is not None:
            after = np.where(node == TRIE_ROOT, context, after)
            gain += self.weight * self.model.score(after, np.full(len(after), END_ID))[0]
        return gain

    def _ended(
        self, node: np.ndarray, context: np.ndarray, penalty: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the whole gain (N,) of words that end at `node`, and the context (N,) after them."""
        inside = np.where(node == self._outside, TRIE_ROOT, node)
        known = self.lexicon.word[inside] != NO_WORD
        gain = np.full(len(node), float(self.bonus))
        if self.model is not None and self._token is not None:
            token = np.where(known, self._token[inside], UNKNOWN_ID)
            log_prob, context = self.model.score(context, token)
            gain += self.weight * log_prob
        if not np.isfinite(self.penalty) and penalty is not None:
            return np.where(known, gain, self.bonus - penalty), context
        return np.where(known, gain, gain - self.penalty), context


class HotWordScorer:
    """Hot words and phrases: each complete occurrence gains its boost for each of its letters.

    The gain is added letter by letter, that of the best phrase which the letters can still become, and
    subtracted again if the text goes on differently. A phrase starts
    at the start of a word and ends at the end of one. Spaces within a phrase count as letters. If phrases
    overlap or contain each other, each of them gains. The automaton is that of Aho and Corasick (1975).

    Args:
        phrases: words, or several words separated by spaces.
        symbols: what each of the C labels writes; "" for the blank, one is " ".
        boost: gain for each letter, a natural logarithm; one number, or one for each phrase.

    Attributes:
        unspelled: the phrases that the labels cannot spell.

    Raises:
        ValueError: there is no label for the space, or the labels can spell no phrase.
    """

    def __init__(
        self, phrases: Sequence[str], symbols: Sequence[str], boost: float | Sequence[float]
    ) -> None:
        if " " not in symbols:
            raise ValueError("hot words need a space in the alphabet, to see where words end; drop them")
        tree = Lexicon(phrases, symbols, "hot words")
        self.unspelled = [phrases[place] for place in tree.unspelled]
        nodes, space = len(tree), list(symbols).index(" ")
        outside = nodes  # the state within any other word
        boosts = np.broadcast_to(np.asarray(boost, np.float64), len(phrases))
        best = tree.best_below(boosts)
        ahead = np.zeros(nodes + 1)  # gain so far
        whole = np.zeros(nodes)  # gain of the phrase that ends at each node
        for level, (first, end) in enumerate(zip(tree.levels, tree.levels[1:], strict=False)):
            ahead[first:end] = level * best[first:end]
            word = tree.word[first:end]
            whole[first:end] = np.where(word == NO_WORD, 0.0, level * boosts[word])
        following = np.full((nodes + 1, len(symbols)), outside)  # next state by node and label
        following[outside, space] = TRIE_ROOT
        following[TRIE_ROOT, space] = TRIE_ROOT
        earned = np.zeros(nodes + 1)  # gain of the phrases that are complete if a word ends here
        failing = np.full(nodes + 1, outside)  # state to go on from if the text differs from the phrase
        for node in range(nodes):  # parents come before their children
            if node != TRIE_ROOT:
                parent, label = tree.parent[node], tree.label[node]
                failing[node] = following[failing[parent], label]
                following[node] = following[failing[node]]
                earned[node] = earned[failing[node]] + whole[node]
            children = slice(tree.first_child[node], tree.first_child[node + 1])
            following[node, tree.label[children]] = np.arange(nodes)[children]
        self._following = following
        self._final = earned - ahead
        self._rows = ahead[following] - ahead[:, None]
        self._rows[:, space] += earned
        self.start = TRIE_ROOT

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Return the gain of each label in `states`: (N, C)."""
        return self._rows[states]

    def advance(self, states: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the next states (N,) after `labels` (N,) are appended."""
        return self._following[states, labels]

    def final(self, states: np.ndarray) -> np.ndarray:
        """Return the gain (N,) of ending the text."""
        return self._final[states]


def _ranges(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return `counts[0]` consecutive integers from first[0], then `counts[1]` from first[1], and so on."""
    offsets = np.cumsum(counts) - counts
    return np.repeat(first - offsets, counts) + np.arange(counts.sum())
