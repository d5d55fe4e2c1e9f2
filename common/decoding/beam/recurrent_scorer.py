"""The scorer for recurrent language models: an automaton over labels that joins the beam search.

Each state stands for a text. A pool caches the results of the network, so that each text is computed once, in
one call with all other new texts of all utterances. If the pool is full, the oldest texts are removed; they
are computed again, letter by letter, in the rare case that a prefix in the beam still needs them.

    number   0    1    2    3            parent  -    0    1    1        texts  ""  t  th  ti

A text that was adopted from a full scorer has no parent here, and is never removed; nor is the empty text.
"""

from collections.abc import Sequence

import numpy as np

from common.decoding.beam.fusion import Index
from common.language.ngram import FLOOR
from common.language.recurrent_model import RecurrentModel
from common.text.vocabulary import END_LABEL

POOL_BYTES = 200_000_000
"""size of the pool of network states and log-probabilities"""
AT_ONCE = 4
"""the pool holds at least this many times the texts of one call"""
FORGOTTEN = -1


class RecurrentScorer:
    """A language model over characters: each label gains weight x its log-probability + bonus.

    Args:
        model: a model over characters.
        symbols: what each of the C labels writes; "" for the blank.
        weight: weight of the natural log-probabilities.
        bonus: added for each label.
        ends: whether the end of the text is scored, too.
        pool_bytes: size of the pool.

    Raises:
        ValueError: the model is over words.
    """

    start = 0

    def __init__(
        self,
        model: RecurrentModel,
        symbols: Sequence[str],
        weight: float,
        bonus: float = 0.0,
        ends: bool = True,
        pool_bytes: int = POOL_BYTES,
    ) -> None:
        if model.unit != "character":
            raise ValueError(
                "a recurrent language model over words cannot join the search; rescore with it (--rescore)"
            )
        self.model, self.symbols, self.weight, self.bonus = model, symbols, weight, bonus
        self.ends, self.pool_bytes = ends, pool_bytes
        unknown = model.vocabulary.unknown_label or END_LABEL
        self._label = np.array([model.id(symbol) or unknown for symbol in symbols])  # (C,) of the model
        self._lacking = self._label == END_LABEL
        self._most = max(1, pool_bytes // (4 * (model.width + model.vocabulary.classes)))
        self._index = Index()
        self._parent = np.zeros(1024, np.int64)
        self._last = np.zeros(1024, np.int32)
        self._place = np.full(1024, FORGOTTEN)
        self._place[0] = 0
        self._owner = np.zeros(1, np.int64)  # of each place in the pool
        self._states, self._log_probs = model.start()
        self._next = self._pinned = 1  # the first places are never given to other texts

    def emptied(self) -> "RecurrentScorer":
        """Return the same scorer with an empty pool."""
        return RecurrentScorer(self.model, self.symbols, self.weight, self.bonus, self.ends, self.pool_bytes)

    def adopt(self, other: "RecurrentScorer", states: np.ndarray) -> np.ndarray:
        """Return the states (N,) here of the texts with these `states` (N,) in `other`, which may go.

        Their network states are copied and stay in the pool, since the texts before them are not here.
        """
        texts, place = np.unique(states, return_inverse=True)
        places, count, pinned = other._places(texts), len(texts), self._pinned
        # keys of other texts are 0 or more
        numbers = 1 + self._index.add(-1 - self._index.count - np.arange(count))[0]
        self._make_room()
        self._place[self._place >= pinned] += count
        self._place[numbers] = pinned + np.arange(count)
        for name, new in (
            ("_owner", numbers),
            ("_states", other._states[places]),
            ("_log_probs", other._log_probs[places]),
        ):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old[:pinned], new.astype(old.dtype), old[pinned:]]))
        self._pinned, self._next, self._most = pinned + count, self._next + count, self._most + count
        return numbers[place]

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Return the gain of each label in `states`: (N, C)."""
        places = self._places(states)  # first: the pool may grow
        rows = self._log_probs[places][:, self._label].astype(np.float64)
        rows[:, self._lacking] = FLOOR
        return self.weight * rows + self.bonus

    def advance(self, states: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the next states (N,) after `labels` (N,) are appended."""
        numbers, new = self._index.add(states * len(self._label) + labels)
        self._make_room()
        self._parent[numbers[new] + 1] = states[new]
        self._last[numbers[new] + 1] = self._label[labels[new]]
        self._compute(numbers[new] + 1)
        return numbers + 1

    def final(self, states: np.ndarray) -> np.ndarray:
        """Return the gain (N,) of ending the text."""
        if not self.ends:
            return np.zeros(len(states))
        places = self._places(states)
        return self.weight * self._log_probs[places, END_LABEL].astype(np.float64)

    def _make_room(self) -> None:
        """Enlarge the arrays of texts to the number of texts."""
        end = self._index.count + 1
        if end > len(self._parent):
            size = max(end, 2 * len(self._parent))
            self._parent, self._last = np.resize(self._parent, size), np.resize(self._last, size)
            self._place = np.append(self._place, np.full(size - len(self._place), FORGOTTEN))

    def _places(self, texts: np.ndarray) -> np.ndarray:
        """Return the places (N,) of texts in the pool; texts that were removed are computed again."""
        while len(missing := np.unique(texts[self._place[texts] == FORGOTTEN])):
            self._compute(missing)  # may remove others of these texts, but each only once
        return self._place[texts]

    def _compute(self, texts: np.ndarray) -> None:
        """Compute texts (N,), different and sorted, after those of their prefixes that were removed."""
        levels = [texts]
        while len(levels[-1]):
            parents = np.unique(self._parent[levels[-1]])
            levels.append(parents[self._place[parents] == FORGOTTEN])
        states, log_probs = self._states[:0], self._log_probs[:0]
        for before, now in zip(levels[::-1], levels[-2::-1], strict=False):
            parents = self._parent[now]
            there = self._place[parents] != FORGOTTEN
            old = np.empty((len(now), self.model.width), np.float32)
            old[there] = self._states[self._place[parents[there]]]
            old[~there] = states[np.searchsorted(before, parents[~there])]
            states, log_probs = self.model.step(old, self._last[now])
        self._keep(texts, states, log_probs)

    def _keep(self, texts: np.ndarray, states: np.ndarray, log_probs: np.ndarray) -> None:
        """Put texts (N,) into the pool in place of the oldest ones; the pinned texts stay."""
        if not len(texts):
            return
        pinned = self._pinned
        most = max(self._most, pinned + AT_ONCE * len(texts))
        if self._next + len(texts) > len(self._owner) < most:
            self._grow(min(most, max(2 * len(self._owner), self._next + len(texts))))
        places = pinned + (self._next - pinned + np.arange(len(texts))) % (len(self._owner) - pinned)
        before = self._owner[places]
        self._place[before[before != FORGOTTEN]] = FORGOTTEN
        self._owner[places], self._place[texts] = texts, places
        self._states[places], self._log_probs[places] = states, log_probs
        self._next = int(places[-1]) + 1

    def _grow(self, size: int) -> None:
        """Enlarge the pool to `size` texts."""
        for name in ("_owner", "_states", "_log_probs"):
            old = getattr(self, name)
            new = np.full((size, *old.shape[1:]), FORGOTTEN, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)
