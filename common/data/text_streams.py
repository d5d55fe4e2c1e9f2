"""Texts to train language models on: long parallel streams cut into windows, or whole lines.

    stream 0   |  t h e _ |  c a t _ |  s a t _ |      batch 0   rows t h e _, u n d _ ...  states are fresh
    stream 1   |  u n d _ |  d i e _ |  k a t z |      batch 1   rows c a t _, d i e _ ...  states go on

Row b of every batch is stream b. So a state that is carried from batch to batch stays with its stream.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from torch.utils.data import Dataset

from common.data.batch_plan import plan_batches
from common.text.vocabulary import END_LABEL


def join(documents: Iterable[Sequence[int]]) -> np.ndarray:
    """Return the labels of all documents in one array (n,) int32, with END_LABEL after each document."""
    return np.fromiter((label for document in documents for label in (*document, END_LABEL)), np.int32)


class Streams(Dataset):
    """Texts cut into parallel streams, and these into windows for truncated back-propagation through time.

    For training (`seed` given), each text is a circle, each epoch starts at another place of it, and all
    windows are full. For measuring (`seed` None), each label of the texts comes once, in order; the shorter
    streams are the last rows and are missing from the last batches.

    Item (index, epoch) is window index // streams of stream index % streams, so index < streams marks the
    start of a stream. A window has k2 steps, of which the last k1 are new; it is shorter at the start of a
    stream and, for measuring, at its end. A step reads one label and predicts the next one:

        labels     x0  x1  x2  ...  xn        n steps, n + 1 labels
        read       x0  x1  x2  ...
        predicted  x1  x2  ...  xn

    Args:
        texts: the labels (n,) of each text, from `join`; one text for each condition.
        streams: how many streams are read in parallel; each text gets a share of them, at least one.
        k1: steps from one window to the next.
        k2: steps of a window, a multiple of k1; None: k1.
        values: the condition of each text, which its items have as values; None: no condition.
        seed: of the places at which epochs start; None: for measuring.

    Raises:
        ValueError: a text is empty, there are fewer streams than texts, or k2 is not a multiple of k1.
    """

    def __init__(
        self,
        texts: Sequence[np.ndarray],
        streams: int = 64,
        k1: int = 64,
        k2: int | None = None,
        values: Sequence[np.ndarray] | None = None,
        seed: int | None = None,
    ) -> None:
        k2 = k1 if k2 is None else k2
        if k1 < 1 or k2 % k1 or k2 < k1:
            raise ValueError(f"k1 is {k1} and k2 {k2}; give 1 or more, and for k2 a multiple of k1")
        if not texts or min(map(len, texts)) == 0:
            raise ValueError("no text to read; give some in every language")
        assert seed is not None or k1 == k2, "text to measure on is read once"
        self.texts, self.k1, self.k2, self.seed = texts, k1, k2, seed
        self.values = [np.zeros(0, np.float32)] * len(texts) if values is None else values
        sizes = np.array([len(text) for text in texts])
        shares = _shares(sizes, streams if seed is not None else min(streams, int(sizes.sum())))
        parts = []  # for each stream: its text, its first label, its length
        for number, (size, share) in enumerate(zip(sizes.tolist(), shares, strict=True)):
            edges = size * np.arange(share + 1) // share
            parts += [(number, edges[j], edges[j + 1] - edges[j]) for j in range(share)]
        if seed is None:
            parts.sort(key=lambda part: -part[2])
        self.text, self.begin, self.length = np.array(parts).T
        self.streams = len(parts)
        self.windows = -(-int(self.length.max()) // k1)

    def __len__(self) -> int:
        return self.windows * self.streams

    def plan(self, epoch: int, shares: int = 1) -> list[np.ndarray]:
        """Return the indices of each batch of an epoch; `shares` devices share the streams."""
        del epoch, shares  # all epochs have the same windows, and any number of devices the same streams
        rows = np.arange(self.streams)
        counts = [
            self.streams if self.seed is not None else int((self.length > window * self.k1).sum())
            for window in range(self.windows)
        ]
        return [window * self.streams + rows[:count] for window, count in enumerate(counts)]

    def source(self, index: int) -> str:
        """Return the name of an item."""
        window, stream = divmod(index, self.streams)
        return f"stream {stream}, window {window}"

    def __getitem__(self, item: tuple[int, int]) -> tuple[int, np.ndarray, np.ndarray]:
        """Return the index, the values, and the labels (steps + 1,) of a window."""
        index, epoch = item
        window, stream = divmod(index, self.streams)
        number = self.text[stream]
        text = self.texts[number]
        first, end = max(0, (window + 1) * self.k1 - self.k2), (window + 1) * self.k1
        if self.seed is None:
            turn, end = 0, min(end, int(self.length[stream]))
        else:
            turn = int(np.random.default_rng((self.seed, epoch, number)).integers(len(text)))
        places = turn + self.begin[stream] + np.arange(first - 1, end)
        return index, self.values[number], text[places % len(text)].astype(np.int64)


class Lines(Dataset):
    """Whole texts, each read from a fresh state, in batches of similar length.

    Args:
        texts: the labels of each, without start and end.
        values: the condition of each; None: no condition.
        budget: the most labels of a batch on each device, with padding.
        seed: of the order; None for a fixed order.

    Raises:
        ValueError: there is no text.
    """

    def __init__(
        self,
        texts: Sequence[Sequence[int]],
        values: Sequence[np.ndarray] | None = None,
        budget: float = 4096,
        seed: int | None = None,
    ) -> None:
        if not texts:
            raise ValueError("no text to read; give one or more")
        self.texts, self.budget, self.seed = texts, budget, seed
        self.values = [np.zeros(0, np.float32)] * len(texts) if values is None else values
        self.lengths = np.array([len(text) + 1 for text in texts], np.float64)

    def __len__(self) -> int:
        return len(self.texts)

    def plan(self, epoch: int, shares: int = 1) -> list[np.ndarray]:
        """Return the indices of each batch of an epoch, which `shares` devices divide among them."""
        rng = None if self.seed is None else np.random.default_rng((self.seed, epoch))
        return plan_batches(self.lengths, self.budget, rng, shares)

    def source(self, index: int) -> str:
        """Return the name of an item."""
        return f"text {index}"

    def __getitem__(self, item: tuple[int, int]) -> tuple[int, np.ndarray, np.ndarray]:
        """Return the index, the values, and the labels of a text, with END_LABEL before and after them."""
        index, _ = item
        return index, self.values[index], np.array([END_LABEL, *self.texts[index], END_LABEL], np.int64)


def _shares(sizes: np.ndarray, streams: int) -> list[int]:
    """Return how many of `streams` each text gets: at least one, and otherwise in proportion to its size."""
    if streams < len(sizes):
        raise ValueError(f"{streams} streams for {len(sizes)} texts; give one each or more")
    shares = np.ones(len(sizes), np.int64)
    for _ in range(streams - len(sizes)):
        shares[np.argmax(sizes / shares)] += 1
    return shares.tolist()
