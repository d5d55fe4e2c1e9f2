"""Fusion of several scorers into the beam search: language models, a lexicon and hot words.

A scorer is an automaton over labels: each state has a gain for every label that may be appended, and a next
state. `Fusion` adds the gains of several scorers. It stores the states of their product automaton that it has
met in a table, so that the search looks up gains and next states for all prefixes of all utterances at once.

Searches in several threads share the table: what is already in it is read without a lock, and one thread at a
time adds to it. If the table has grown too large, each search goes on with a new one:

    full table    0  1  2 ... 90,000      the beam holds the states 7, 512 and 80,301
    new table     0                       those become its states 1, 2 and 3
"""

import os
from collections.abc import Sequence
from threading import Lock
from typing import Any, Protocol, runtime_checkable

import numpy as np

from common.decoding.arrays import Array, from_numpy, to_numpy
from common.decoding.beam.device_table import UNSEEN, DeviceTable

TABLE_BYTES = 32_000_000
"""a table that has grown beyond this size is replaced by a new one"""
BEAMS = 4
"""a table has room for at least this many times the states that a beam brought into it"""
STATE_MULTIPLIER = 0x9E3779B97F4A7C15
"""2 ** 64 over the golden ratio; spreads keys (Knuth, The Art of Computer Programming 3, 6.4)"""


class Scorer(Protocol):
    """An automaton over labels. States are int64; all methods take and return arrays for N texts."""

    start: int
    """the state of the empty text"""

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Return the gain (N, C) of appending each label, a natural logarithm; -inf forbids the label."""

    def advance(self, states: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the next states (N,) after `labels` (N,) are appended."""

    def final(self, states: np.ndarray) -> np.ndarray:
        """Return the gain (N,) of ending the text in each state."""


@runtime_checkable
class CachingScorer(Scorer, Protocol):
    """A scorer whose states have a meaning only together with its memory, which grows with every new text."""

    def emptied(self) -> Scorer:
        """Return the same scorer with an empty memory."""

    def adopt(self, other: Any, states: np.ndarray) -> np.ndarray:
        """Return the states (N,) here of the texts with these `states` (N,) in `other`, the scorer before."""


class Fusion:
    """The sum of several scorers; searches in several threads may use it at once.

    Args:
        scorers: one or more.
        classes: C.
    """

    def __init__(self, scorers: Sequence[Scorer], classes: int) -> None:
        self.scorers, self.classes = tuple(scorers), classes
        self._table = Table(self.scorers, classes)
        self._lock, self._process = Lock(), os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how a copy is made, in another process, too: with an empty table."""
        return Fusion, (_emptied(self.scorers), self.classes)

    def table(self) -> "Table":
        """Return the table for a search that starts: the one so far, or a new one if that is too large."""
        if self._process != os.getpid():
            # forked: another thread of the parent may have been writing into the table, with the lock held
            self._lock, self._process = Lock(), os.getpid()
            self._renew()
        with self._lock:
            if self._table.full:
                self._renew()
            return self._table

    def move(self, table: "Table", states: Array) -> tuple["Table", Array]:
        """Return the table in which a search goes on, and its states there.

        Args:
            table: the table so far, which is full.
            states: (B, K) of the prefixes in the beam.
        """
        new = self.table()
        return new, from_numpy(states, new.adopt(table, to_numpy(states)))

    def _renew(self) -> None:
        self.scorers = _emptied(self.scorers)
        self._table = Table(self.scorers, self.classes)


def _emptied(scorers: tuple[Scorer, ...]) -> tuple[Scorer, ...]:
    """Return the scorers, with an empty memory."""
    return tuple(one.emptied() if isinstance(one, CachingScorer) else one for one in scorers)


class Table:
    """Gains and next states of all states of a `Fusion` that were met so far; state 0 is the start.

    The methods take and return NumPy arrays; for a search on a GPU, `on` gives a copy there. Arrays that are
    too small are replaced by larger ones with the same content, and a next state is written after all that
    belongs to it. A thread that reads meanwhile thus sees either the next state or `UNSEEN`.
    """

    def __init__(self, scorers: tuple[Scorer, ...], classes: int) -> None:
        self.scorers, self.classes = scorers, classes
        self.count, self._room = 0, 0
        self._states = np.empty((1024, len(scorers)), np.int64)
        self._gains = np.empty((1024, classes), np.float32)
        self._best = np.empty(1024, np.float32)
        self._following = np.empty((1024, classes), np.int32)
        self._index = Index()
        self._copies: dict[Any, DeviceTable] = {}  # by device
        self._lock = Lock()  # held by the thread that adds states, or that calls a scorer
        self._numbers(np.array([[scorer.start for scorer in scorers]], np.int64))

    @property
    def size(self) -> int:
        """Bytes in use."""
        return self.count * (8 * self.classes + 8 * len(self.scorers) + 32)

    @property
    def full(self) -> bool:
        """Whether searches should go on with another table."""
        return self.size > TABLE_BYTES and self.count > self._room

    def adopt(self, other: "Table", states: np.ndarray) -> np.ndarray:
        """Return the states here of the texts that have these `states` in `other`, an older table."""
        known, place = np.unique(states, return_inverse=True)
        with other._lock, self._lock:
            columns = [
                mine.adopt(theirs, column) if isinstance(mine, CachingScorer) else column
                for mine, theirs, column in zip(
                    self.scorers, other.scorers, other._states[known].T, strict=True
                )
            ]
            numbers = self._numbers(np.stack(columns, axis=1))
            self._room += BEAMS * states.size
        return numbers.astype(np.int64)[place.reshape(states.shape)]

    def gains(self, states: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the gains of `labels` in `states`, float64; the two shapes broadcast."""
        return self._gains.reshape(-1).take(states * self.classes + labels).astype(np.float64)

    def best(self, states: np.ndarray) -> np.ndarray:
        """Return the largest gain of any label in each of `states` (any shape), float32."""
        return self._best.take(states)

    def extend(self, states: np.ndarray, labels: np.ndarray, grown: np.ndarray) -> np.ndarray:
        """Return the next states (any shape) where `grown`, after `labels` are appended, else `states`."""
        after = states.copy()
        after[grown] = self.advance(states[grown], labels[grown])
        return after

    def advance(self, states: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the next states (N,) after `labels` (N,) are appended in `states` (N,)."""
        places = states * self.classes + labels
        following = self._following.reshape(-1).take(places)
        unseen = following == UNSEEN
        if unseen.any():
            distinct, _ = np.unique(places[unseen], return_index=True)  # without it, NumPy imports numpy.ma
            self.explore(distinct)
            following = self._following.reshape(-1).take(places)
        return following.astype(np.int64)

    def on(self, device: Any) -> DeviceTable:
        """Return a copy on a torch device with all that is known now; it is shared by all who ask."""
        with self._lock:
            copy = self._copies.get(device)
            if copy is None or copy.room < self.count:
                copy = self._copies[device] = DeviceTable(self.classes, self.count, device)
            copy.update(self._gains, self._following, self.count)
            return copy

    def final(self, states: Array) -> Array:
        """Return the gain of ending the text in each of `states` (any shape), float64."""
        known, place = np.unique(to_numpy(states), return_inverse=True)
        gains = np.zeros(len(known))
        with self._lock:
            for scorer, column in zip(self.scorers, self._states[known].T, strict=True):
                gains += scorer.final(column)
        return from_numpy(states, gains[place.reshape(states.shape)])

    def explore(self, places: np.ndarray) -> None:
        """Compute the next states at `places` (N,), all different, which are state * classes + label."""
        with self._lock:
            self._explore(places)

    def _explore(self, places: np.ndarray) -> None:
        states, labels = np.divmod(places, self.classes)
        following = np.stack(
            [
                scorer.advance(column, labels)
                for scorer, column in zip(self.scorers, self._states[states].T, strict=True)
            ],
            axis=1,
        )  # (N, scorers)
        numbers = self._numbers(following)
        self._following.reshape(-1)[places] = numbers
        for copy in self._copies.values():
            copy.explored.append(places)

    def _numbers(self, states: np.ndarray) -> np.ndarray:
        """Return the numbers (N,) of these states (N, scorers); new states get the next numbers."""
        keys = states[:, 0]
        for column in states[:, 1:].T:
            keys = _mixed(keys) ^ column  # two of n agree with probability n ** 2 / 2 ** 65
        numbers, fresh = self._index.add(keys)
        if len(fresh):
            new = states[fresh]
            end = self.count + len(new)
            self._reserve(end)
            gains = np.zeros((len(new), self.classes))
            for scorer, column in zip(self.scorers, new.T, strict=True):
                gains += scorer.rows(column)
            self._states[self.count : end] = new
            self._gains[self.count : end] = gains
            self._best[self.count : end] = gains.max(1, initial=-np.inf)
            self._following[self.count : end] = UNSEEN
            self.count = end
        return numbers

    def _reserve(self, count: int) -> None:
        capacity = len(self._gains)
        if count <= capacity:
            return
        capacity = max(2 * capacity, count)
        for name in ("_states", "_gains", "_best", "_following"):
            old = getattr(self, name)
            new = np.empty((capacity, *old.shape[1:]), old.dtype)
            new[: self.count] = old[: self.count]
            setattr(self, name, new)


class Index:
    """A hash table with linear probing that numbers keys in the order of their arrival, in batches."""

    def __init__(self) -> None:
        self.keys = np.empty(1024, np.int64)
        self.count = 0
        self._slots = np.full(4096, UNSEEN, np.int32)

    def add(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers (N,) of `keys`, and the indices in `keys` where new keys first occur."""
        distinct, first, place = np.unique(keys, return_index=True, return_inverse=True)
        numbers = self._find(distinct)
        (missing,) = np.nonzero(numbers == UNSEEN)
        if len(missing):
            end = self.count + len(missing)
            if end > len(self.keys):
                self.keys = np.concatenate([self.keys, np.empty(max(end, len(self.keys)), np.int64)])
            self.keys[self.count : end] = distinct[missing]
            numbers[missing] = np.arange(self.count, end)
            self.count = end
            if 2 * end > len(self._slots):
                size = 1 << (4 * end).bit_length()  # a power of 2, since _places masks the last bits
                self._slots = np.full(size, UNSEEN, np.int32)
                self._insert(np.arange(end))
            else:
                self._insert(numbers[missing])
        return numbers[place], first[missing]

    def _places(self, keys: np.ndarray) -> np.ndarray:
        return (_mixed(keys) & (len(self._slots) - 1)).astype(np.int64)

    def _find(self, keys: np.ndarray) -> np.ndarray:
        numbers = np.full(len(keys), UNSEEN, np.int32)
        places = self._places(keys)
        pending = np.arange(len(keys))
        while len(pending):
            held = self._slots[places[pending]]
            taken = held != UNSEEN
            pending, held = pending[taken], held[taken]
            same = self.keys[held] == keys[pending]
            numbers[pending[same]] = held[same]
            pending = pending[~same]
            places[pending] = (places[pending] + 1) & (len(self._slots) - 1)
        return numbers

    def _insert(self, numbers: np.ndarray) -> None:
        places = self._places(self.keys[numbers])
        while len(numbers):
            free = self._slots[places] == UNSEEN
            self._slots[places[free]] = numbers[free]  # of two keys at one place the later one stays
            placed = self._slots[places] == numbers
            numbers, places = numbers[~placed], (places[~placed] + 1) & (len(self._slots) - 1)


def _mixed(keys: np.ndarray) -> np.ndarray:
    mixed = keys.astype(np.uint64) * np.uint64(STATE_MULTIPLIER)
    return (mixed ^ (mixed >> np.uint64(29))).astype(np.int64)
