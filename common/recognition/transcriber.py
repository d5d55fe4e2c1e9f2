"""From signals to transcripts: what every recognizer shares, whatever computes its log-probabilities.

sources -> read ahead in threads -> windows -> batches of like length -> log-probabilities -> decoder
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.data.batch_plan import plan_batches
from common.data.frame_targets import FrameLabels
from common.data.signal import Signal, Source
from common.decoding.alignment import align, widen
from common.decoding.arrays import Array, to_numpy
from common.decoding.decoder import Decoder
from common.decoding.greedy import Hit
from common.decoding.hypothesis import Hypothesis
from common.decoding.labelled import LabelDecoder
from common.recognition.modality import Modality
from common.text.symbols import Symbols, collapse_pieces
from common.text.transcript import Alternative, Character, Transcript

READERS = 2
"""threads that read sources while the network runs"""
AHEAD_BUDGETS = 8
"""signals are read ahead, and kept to be sorted by length, up to so many batch budgets together"""
Refuse = Callable[[str], None] | None
"""is given a sentence for each source that cannot be used, which is then left out; None: it is raised"""


class _Read(NamedTuple):
    """A signal that was read, its place among the sources, name, and the labels of its text where known."""

    place: int
    name: str
    signal: Signal
    labels: list[int]


class Transcriber:
    """A recognizer, save for the network: a subclass has these attributes and `batch_log_probs`.

    Attributes:
        modality, alphabet: of the model.
        task: "ctc" or "attention", which write texts; "frames", a label to each step; "classify", one in all.
        signal_config: how signals are read for it.
        card: facts about the model (training data, metrics, licence ...).
        decoder: what makes text of its log-probabilities.
        stride, offset: step s of them stands for the signal steps from s x stride + offset on.
    """

    modality: Modality
    alphabet: Symbols
    card: dict[str, Any]
    decoder: Decoder | LabelDecoder

    @property
    @abstractmethod
    def task(self) -> str:
        """What it has learnt."""

    @property
    @abstractmethod
    def frame_labels(self) -> FrameLabels:
        """What a step is labelled with, where the task is "frames"."""

    @property
    @abstractmethod
    def signal_config(self) -> Any:
        """How signals are read for it."""

    @property
    @abstractmethod
    def stride(self) -> int:
        """Signal steps to one step of the log-probabilities."""

    @property
    @abstractmethod
    def offset(self) -> float:
        """Where the first step starts, in signal steps."""

    @property
    def workers(self) -> int:
        """How many batches are computed at a time, each in a thread."""
        return 1

    @property
    def parameter_count(self) -> int | None:
        """How many numbers training adjusts, where that is known."""
        return None

    @abstractmethod
    def batch_log_probs(self, signals: Sequence[np.ndarray]) -> tuple[Array, np.ndarray]:
        """Return log-probabilities (B, S, C) of `signals` (T, ...) and their lengths (B,), as one batch."""

    def batch_outputs(self, signals: Sequence[np.ndarray]) -> Any:
        """Return what `hypotheses` wants of `signals` (T, ...), computed as one batch."""
        return self.batch_log_probs(signals)

    def hypotheses(self, outputs: Any, count: int = 1) -> tuple[list[list[Hypothesis]], np.ndarray]:
        """Return up to `count` hypotheses of each signal of `batch_outputs`, best first, and lengths (B,)."""
        log_probs, lengths = outputs
        return self.decoder.decode(log_probs, lengths, count), lengths

    def texts(self, outputs: Any) -> list[str]:
        """Return the best text of each signal of `batch_outputs`, without places and confidences."""
        return self.decoder.texts(*outputs)

    def log_probs(self, signals: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the log-probabilities (S, C) of each of `signals` (T, ...), computed as one batch."""
        log_probs, lengths = self.batch_log_probs(signals)
        return [one[:length] for one, length in zip(to_numpy(log_probs), lengths, strict=True)]

    def transcribe(
        self,
        sources: Iterable[Source | Signal],
        batch_budget: float | None = None,
        window: int = 256,
        alternatives: int = 0,
        refuse: Refuse = None,
    ) -> Iterator[Transcript]:
        """Yield the transcript of each source, in their order.

        Args:
            sources: paths, open binary files, or signals already read under `signal_config`.
            batch_budget: padded length of one batch in the modality's length unit; None for its default.
            window: how many signals at most are sorted by length at a time; fewer, if they are long.
            alternatives: how many other readings are wanted of each; only the beam search has any.
            refuse: is given a sentence for each source that cannot be read, which is then left out.

        Raises:
            ValueError: without `refuse`, for the first source that cannot be read.
        """
        wanted = ((source, None) for source in sources)
        for named in self._windows(wanted, batch_budget, window, refuse):
            done: dict[int, Transcript] = {}
            for indices, outputs in self._in_batches(named, batch_budget, self.batch_outputs):
                found, lengths = self.hypotheses(outputs, alternatives + 1)
                for index, hypotheses, length in zip(indices, found, lengths.tolist(), strict=True):
                    one = named[index]
                    done[index] = self.transcript(hypotheses, length, one.signal, one.name)
            for index in range(len(named)):
                yield done[index]

    def align(
        self,
        sources: Iterable[Source | Signal],
        texts: Iterable[str],
        batch_budget: float | None = None,
        window: int = 256,
        refuse: Refuse = None,
    ) -> Iterator[Transcript]:
        """Yield the transcript of each source that has its text, with places and confidences, in their order.

        A character's confidence is the highest probability that the model gives it there, a word's the
        product of its characters'; near 0 the text says something else. For places see `alignment.widen`.

        Args:
            sources: as of `transcribe`.
            texts: of the sources, brought to the form of the alphabet.
            batch_budget: as of `transcribe`.
            window: as of `transcribe`.
            refuse: is given a sentence for each source that cannot be aligned, which is then left out.

        Raises:
            ValueError: without `refuse`, for the first source that cannot be read, whose text has characters
                that are not in the alphabet, or whose text needs more steps than it has.
        """
        if self.task not in ("ctc", "attention"):
            raise ValueError(f"a model of --task {self.task} aligns no text; take one of --task ctc")
        wanted = zip(sources, texts, strict=True)
        for named in self._windows(wanted, batch_budget, window, refuse):
            done: dict[int, Transcript] = {}
            for indices, (log_probs, lengths) in self._in_batches(named, batch_budget, self.batch_log_probs):
                for index, rows, length in zip(indices, to_numpy(log_probs), lengths, strict=True):
                    one = named[index]
                    with _refusing(refuse):
                        done[index] = self._aligned(rows[:length], one.labels, one.signal, one.name)
            for index in sorted(done):
                yield done[index]

    def log_probs_of(
        self,
        sources: Iterable[Source | Signal],
        batch_budget: float | None = None,
        window: int = 256,
        refuse: Refuse = None,
    ) -> Iterator[tuple[list[int], Array, np.ndarray]]:
        """Yield batches of like length: places among `sources`, log-probabilities (B, S, C), lengths (B,).

        Arguments and errors are those of `transcribe`.
        """
        computed = self._outputs_of(self.batch_log_probs, sources, batch_budget, window, refuse)
        for places, (log_probs, lengths), _ in computed:
            yield places, log_probs, lengths

    def texts_of(
        self,
        sources: Iterable[Source | Signal],
        batch_budget: float | None = None,
        window: int = 256,
        refuse: Refuse = None,
    ) -> Iterator[tuple[list[int], list[str]]]:
        """Yield batches of like length: places among `sources`, and texts; faster than `transcribe`.

        Arguments and errors are those of `transcribe`.
        """
        for places, outputs, _ in self._outputs_of(self.batch_outputs, sources, batch_budget, window, refuse):
            yield places, self.texts(outputs)

    def step_labels_of(
        self,
        sources: Iterable[Source | Signal],
        batch_budget: float | None = None,
        window: int = 256,
        refuse: Refuse = None,
    ) -> Iterator[tuple[int, np.ndarray, float]]:
        """Yield place among `sources`, likeliest label of each step (S,), and units of a signal step.

        Arguments and errors are those of `transcribe`.
        """
        computed = self._outputs_of(self.batch_log_probs, sources, batch_budget, window, refuse)
        for places, (log_probs, lengths), units in computed:
            rows = zip(places, to_numpy(log_probs), lengths, units, strict=True)
            for place, row, length, unit_per_step in rows:
                yield place, row[:length].argmax(1), unit_per_step

    def _outputs_of(
        self,
        compute: Callable[[Sequence[np.ndarray]], Any],
        sources: Iterable[Source | Signal],
        batch_budget: float | None,
        window: int,
        refuse: Refuse,
    ) -> Iterator[tuple[list[int], Any, list[float]]]:
        """Yield places among `sources`, what `compute` gives of them, and their units of a signal step."""
        wanted = ((source, None) for source in sources)
        for named in self._windows(wanted, batch_budget, window, refuse):
            for indices, outputs in self._in_batches(named, batch_budget, compute):
                batch = [named[index] for index in indices]
                yield [one.place for one in batch], outputs, [one.signal.unit_per_step for one in batch]

    def _budget(self, batch_budget: float | None) -> float:
        """Return the padded length of one batch in signal steps."""
        budget = self.modality.batch_budget if batch_budget is None else batch_budget
        return budget * self.modality.steps_per_length(self.signal_config)

    def _windows(
        self,
        wanted: Iterable[tuple[Source | Signal, str | None]],
        batch_budget: float | None,
        window: int,
        refuse: Refuse,
    ) -> Iterator[list[_Read]]:
        """Yield the signals of sources, and the labels of their texts, as many at a time as are sorted."""
        most = AHEAD_BUDGETS * self._budget(batch_budget)
        named: list[_Read] = []
        steps = 0
        for one in self._read_ahead(wanted, most, window, refuse):
            named.append(one)
            steps += len(one.signal.values)
            if len(named) == window or steps > most:
                yield named
                named, steps = [], 0
        if named:
            yield named

    def _read_ahead(
        self,
        wanted: Iterable[tuple[Source | Signal, str | None]],
        most: float,
        window: int,
        refuse: Refuse,
    ) -> Iterator[_Read]:
        """Yield what threads read ahead of its use: at most `most` signal steps, going by the longest."""
        coming, remaining, longest = deque[Any](), enumerate(wanted), most / READERS
        with ThreadPoolExecutor(READERS) as pool:
            while True:
                while len(coming) < min(window, max(READERS, most / longest)):
                    place, pair = next(remaining, (0, None))
                    if pair is None:
                        break
                    coming.append((place, _name(pair[0]), pool.submit(self._read, *pair)))
                if not coming:
                    return
                place, name, future = coming.popleft()
                one = None
                with _refusing(refuse):
                    one = _Read(place, name, *future.result())
                if one is not None:
                    longest = max(0.95 * longest, len(one.signal.values), 1)
                    yield one

    def _read(self, source: Source | Signal, text: str | None) -> tuple[Signal, list[int]]:
        labels = [] if text is None else self._spelled(text, _name(source))
        if isinstance(source, Signal):
            return source, labels
        return self.modality.read(source, self.signal_config), labels

    def _in_batches(
        self,
        named: Sequence[_Read],
        batch_budget: float | None,
        compute: Callable[[Sequence[np.ndarray]], Any],
    ) -> Iterator[tuple[list[int], Any]]:
        """Yield batches of signals of like length: indices, and what `compute` gives of them."""
        steps = np.array([len(one.signal.values) for one in named], dtype=np.float64)
        waiting = iter(plan_batches(steps, self._budget(batch_budget)))
        running = deque[Any]()
        with ThreadPoolExecutor(self.workers) as pool:
            while True:
                # one more than run, so that none waits while what is done is decoded
                for batch in islice(waiting, self.workers + 1 - len(running)):
                    signals = [named[index].signal.values for index in batch]
                    running.append((batch.tolist(), pool.submit(compute, signals)))
                if not running:
                    return
                indices, future = running.popleft()
                yield indices, future.result()

    def _aligned(self, log_probs: np.ndarray, labels: list[int], signal: Signal, source: str) -> Transcript:
        try:
            hits = align(log_probs, labels).hits
        except ValueError as error:
            raise ValueError(f"{source}: {error}" if source else str(error)) from None
        characters = self._placed(hits, len(log_probs), signal)
        return Transcript.from_characters(characters, source, self.modality.unit)

    def _spelled(self, text: str, source: str) -> list[int]:
        if unknown := self.alphabet.unknown(text):
            raise ValueError(
                f"{source or 'a text'}: its text has {', '.join(map(repr, unknown))}, not in the alphabet of"
                f" {len(self.alphabet.symbols)} symbols; write it with those, or take another model"
            )
        return self.alphabet.encode(text)

    def _position(self, step: float, signal: Signal) -> float:
        """Return where `step` starts in `signal`, in seconds or pixels of the original."""
        place = step * self.stride + self.offset
        return min(max(place, 0), len(signal.values)) * signal.unit_per_step

    def _placed(self, hits: Sequence[Hit], steps: int, signal: Signal) -> list[Character]:
        """Return the characters of `hits` where they are in `signal`, which has so many steps."""
        written = self._written(hits)
        hits, texts = [hit for hit, _ in written], [text for _, text in written]
        if not self.alphabet.writes_text:
            return self._named(hits, texts, signal)
        edges = widen(hits, [text.isspace() for text in texts], steps).tolist()
        return [
            character
            for text, (start, end), hit in zip(texts, edges, hits, strict=True)
            for character in _spread(
                text, self._position(start, signal), self._position(end, signal), hit.confidence
            )
        ]

    def _named(self, hits: Sequence[Hit], names: Sequence[str], signal: Signal) -> list[Character]:
        """Return names where their steps are, or one that is all of `signal`, with what separates them."""
        if self.task == "classify":
            whole = len(signal.values) * signal.unit_per_step
            return [Character(names[0], 0.0, whole, hits[0].confidence)]
        found: list[Character] = []
        separator = self.alphabet.separator
        for hit, name in zip(hits, names, strict=True):
            start, end = self._position(hit.start, signal), self._position(hit.end, signal)
            if found and separator:
                found.append(Character(separator, found[-1].end, start, 1.0))
            found.append(Character(name, start, end, hit.confidence))
        return found

    def transcript(
        self, hypotheses: Sequence[Hypothesis], steps: int, signal: Signal, source: str = ""
    ) -> Transcript:
        """Return what a decoder has found, in units of the original signal; places as `align` gives them.

        Args:
            hypotheses: the best, and others of which the transcript keeps texts and scores.
            steps: of the log-probabilities.
            signal: of which they are.
            source: its name.
        """
        best, *others = hypotheses
        scores: dict[str, float] = {}
        for hypothesis in others:
            scores.setdefault(self._text(hypothesis.hits), hypothesis.score)
        scores.pop(self._text(best.hits), None)
        alternatives = [Alternative(text, score) for text, score in scores.items()]
        characters = self._placed(best.hits, steps, signal)
        return Transcript.from_characters(characters, source, self.modality.unit, alternatives)

    def _text(self, hits: Sequence[Hit]) -> str:
        """Return the text of the labels of `hits`."""
        return (self.alphabet.separator or "").join(text for _, text in self._written(hits))

    def _written(self, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        """Return each hit that writes something, with its text.

        If the model learnt texts with one space between words and none at the ends, so it writes.
        """
        texts = self.alphabet.pieces([hit.label for hit in hits])
        if self.alphabet.whitespace == "collapse":
            texts = collapse_pieces(texts)
        return [(hit, text) for hit, text in zip(hits, texts, strict=True) if text]


def _spread(text: str, start: float, end: float, confidence: float) -> list[Character]:
    """Return the characters of one label's text: equally long, their confidences multiply to the label's."""
    count = len(text)
    edges = [*(start + (end - start) * place / count for place in range(count)), end]
    return [
        Character(character, first, last, confidence ** (1 / count))
        for character, (first, last) in zip(text, pairwise(edges), strict=True)
    ]


def _name(source: Source | Signal) -> str:
    """Return the path or the name of `source`, "" if it has none."""
    return str(source if isinstance(source, str | Path) else getattr(source, "name", ""))


@contextmanager
def _refusing(refuse: Refuse) -> Iterator[None]:
    """Hand what is wrong with a source to `refuse`, if there is one."""
    try:
        yield
    except (ValueError, OSError) as error:
        if refuse is None:
            raise
        refuse(str(error))
