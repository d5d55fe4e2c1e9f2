"""The document of a recording whose text is known: each paragraph a passage, each word where it is said."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from common.data.signal import Signal
from common.decoding.alignment import widen
from common.decoding.gapped.search import Unwritten, WordHits, align_words
from common.decoding.gapped.viterbi import GapCosts, Words
from common.decoding.greedy import Hit, greedy
from common.decoding.hypothesis import missing_labels
from common.recognition.known_text.left_out import Extra, LeftOut, Unsaid
from common.recognition.known_text.text import KnownText, KnownWord
from common.recognition.placing import Placing
from common.text.document import Document, Interval, Passage, Place
from common.text.symbols import BLANK
from common.text.transcript import Character, Transcript


class Heard(NamedTuple):
    """The log-probabilities (S, C) of a segment, where it starts, and its signal without the values."""

    log_probs: np.ndarray
    start: float
    signal: Signal
    whole: bool

    @classmethod
    def of(cls, log_probs: np.ndarray, place: Place, signal: Signal, whole: bool) -> "Heard":
        """Return what is kept of a passage; of a place in two dimensions the start is not known."""
        start = place.start if isinstance(place, Interval) else 0.0
        values = np.broadcast_to(np.float32(0), (len(signal.values),))  # takes no memory
        return cls(log_probs.copy(), start, Signal(values, signal.unit_per_step), whole)


class Aligned(NamedTuple):
    """The document of a recording, and what of the text and of the recording is not in it."""

    document: Document
    left_out: LeftOut


class _Placed(NamedTuple):
    """A word that is said.

    characters: with their positions in the recording.
    first, last: the steps [first, last) of its hits.
    space: confidence of the separator before it.
    """

    characters: list[Character]
    first: int
    last: int
    space: float = 1.0


def align_text(text: KnownText, heard: Sequence[Heard], placing: Placing, source: str) -> Aligned:
    """Return the document of a recording.

    A sign that is not said has no length. A word that the model cannot write, such as a number, has the sound
    between its neighbours that is not in the text, with a confidence of 0.

    Args:
        text: what is said, about.
        heard: the segments of the recording, in order.
        placing: positions of the model.
        source: the name of the recording.

    Raises:
        ValueError: there are no words or no segments, or text and recording have nothing in common.
    """
    words = text.words
    if not words:
        raise ValueError(f"{source}: its text has no words; name the file with what is said")
    if not heard:
        raise ValueError(f"{source}: no speech was found that its text could belong to")
    spelt = [number for number, word in enumerate(words) if word.spelling]
    labels = Words.of([word.spelling for word in words], text.separator)
    log_probs = _joined(heard, text.separator)
    try:
        hits = align_words(log_probs, labels, GapCosts())
    except ValueError as error:
        raise ValueError(f"{source}: {error}" if source else str(error)) from None
    clock = _Clock(heard, placing)
    placed = dict(_said(words, spelt, labels, hits, clock))
    extra = list(hits.unwritten)
    placed |= dict(_unspelt(words, spelt, placed, extra, clock))
    passages = tuple(_passages(text, placed, hits, log_probs, source, placing.unit))
    if len(heard) == len(text.paragraphs) == 1 and heard[0].whole:
        passages = tuple(_from_start(passage) for passage in passages)
    extras = []
    for one in extra:
        read = placing.alphabet.decode(hit.label for hit in greedy(log_probs[one.start : one.end]))
        extras.append(Extra(clock.at(one.start), clock.at(one.end), read))
    left_out = LeftOut(list(_unsaid(words, placed)), extras)
    return Aligned(Document(source, passages, placing.unit), left_out)


def _joined(heard: Sequence[Heard], separator: int | None) -> np.ndarray:
    """Return the log-probabilities of all segments, each with a step at its end for a separator or a blank.

    Between two segments, which a pause parts, the network hears no separator.
    """
    pause = np.full((1, heard[0].log_probs.shape[1]), -np.inf, np.float32)
    pause[0, BLANK] = -0.01  # less than the separator, so that this is heard
    if separator is not None:
        pause[0, separator] = 0.0
    return np.concatenate([rows for one in heard for rows in (one.log_probs, pause)])


class _Clock:
    """Turns steps of all segments together into positions in the recording."""

    def __init__(self, heard: Sequence[Heard], placing: Placing) -> None:
        self.heard, self.placing = heard, placing
        self.firsts = np.cumsum([0, *(len(one.log_probs) + 1 for one in heard)])

    def segment(self, step: float) -> int:
        """Return the number of the segment that a step is in."""
        return min(max(int(np.searchsorted(self.firsts, step, "right")) - 1, 0), len(self.heard) - 1)

    def at(self, step: float, segment: int | None = None) -> float:
        """Return the position of a step, which may be a fraction or just outside of `segment`."""
        number = self.segment(step) if segment is None else segment
        one = self.heard[number]
        inner, signal = step - float(self.firsts[number]), one.signal
        return one.start + self.placing.position(inner, len(signal.values), signal.unit_per_step)

    def edges(self, hits: Sequence[Hit | None], spaces: np.ndarray) -> np.ndarray:
        """Return where the labels (L, 2) start and end, widened as in a segment of its own."""
        edges = np.zeros((len(hits), 2))
        segments: dict[int, list[int]] = {}
        for number, hit in enumerate(hits):
            if hit is not None:
                segments.setdefault(self.segment(hit.start), []).append(number)
        for segment, numbers in segments.items():
            first = int(self.firsts[segment])
            local = [hit for number in numbers if (hit := hits[number])]
            local = [hit._replace(start=hit.start - first, end=hit.end - first) for hit in local]
            steps = len(self.heard[segment].log_probs)
            wide = widen(local, spaces[numbers].tolist(), steps)
            for number, pair in zip(numbers, wide.tolist(), strict=True):
                edges[number] = [self.at(first + edge, segment) for edge in pair]
        return edges


def _said(
    words: Sequence[KnownWord], spelt: Sequence[int], labels: Words, found: WordHits, clock: _Clock
) -> Iterator[tuple[int, _Placed]]:
    """Yield the words that are said, by their numbers."""
    separators = np.ones(len(labels.labels), bool)
    for start, end in zip(labels.starts, labels.ends, strict=True):
        separators[start:end] = False
    edges = clock.edges(found.labels, separators).tolist()
    for number, start, end in zip(spelt, labels.starts.tolist(), labels.ends.tolist(), strict=True):
        hits = [hit for hit in found.labels[start:end] if hit is not None]
        if hits:
            word = words[number]
            characters = list(_characters(word, hits, edges[start:end]))
            space = found.labels[start - 1] if start and separators[start - 1] else None
            sure = 1.0 if space is None else space.confidence
            yield number, _Placed(characters, hits[0].start, hits[-1].end, sure)


def _characters(word: KnownWord, hits: Sequence[Hit], edges: Sequence[list[float]]) -> Iterator[Character]:
    """Yield the characters of a word that is said; one without labels has no length."""
    done = 0
    for text, labels in zip(word.characters, word.labels, strict=True):
        last = done + len(labels)
        if not labels:
            place = edges[max(done - 1, 0)][0 if done == 0 else 1]
            yield Character(text, place, place, 1.0)
            continue
        sure = float(np.prod([hit.confidence for hit in hits[done:last]]))
        yield Character(text, edges[done][0], edges[last - 1][1], sure)
        done = last


def _unspelt(
    words: Sequence[KnownWord],
    spelt: Sequence[int],
    placed: dict[int, _Placed],
    extra: list[Unwritten],
    clock: _Clock,
) -> Iterator[tuple[int, _Placed]]:
    """Yield the words that the model cannot write, where there is sound; it is taken out of `extra`."""
    for one in list(extra):
        before = spelt[one.before] if one.before >= 0 else -1
        after = spelt[one.after] if one.after < len(spelt) else len(words)
        between = [number for number in range(before + 1, after) if not words[number].spelling]
        if not between:
            continue
        extra.remove(one)
        times = np.linspace(clock.at(one.start), clock.at(one.end), len(between) + 1).tolist()
        for number, start, end in zip(between, times, times[1:], strict=False):
            if number not in placed:
                characters = [Character(text, start, end, 0.0) for text in words[number].characters]
                yield number, _Placed(characters, one.start, one.end)


def _passages(
    text: KnownText,
    placed: dict[int, _Placed],
    found: WordHits,
    log_probs: np.ndarray,
    source: str,
    unit: str,
) -> Iterator[Passage]:
    """Yield each paragraph of which words are said; the region is its number in the text, from 1."""
    number = 0  # of the first word
    hits = [hit for hit in found.labels if hit is not None]
    steps = np.array([hit.start for hit in hits])
    for count, paragraph in enumerate(text.paragraphs, start=1):
        here = [placed[one] for one in range(number, number + len(paragraph)) if one in placed]
        number += len(paragraph)
        if not here:
            continue
        characters = here[0].characters[:]
        for word in here[1:]:
            end, start = characters[-1].end, word.characters[0].start
            characters.append(Character(" ", end, max(start, end), word.space))
            characters.extend(word.characters)
        begin, last = here[0].first, here[-1].last
        inner = hits[slice(*np.searchsorted(steps, [begin, last]))]
        inner = [hit._replace(start=hit.start - begin, end=hit.end - begin) for hit in inner]
        missing = missing_labels(log_probs[begin:last], inner)
        place = Interval(min(one.start for one in characters), max(one.end for one in characters))
        moved = _moved(characters, -place.start)
        transcript = Transcript.from_characters(moved, source, unit, missing=missing)
        yield Passage(transcript, place, region=str(count))


def _moved(characters: Sequence[Character], distance: float) -> list[Character]:
    return [replace(one, start=one.start + distance, end=one.end + distance) for one in characters]


def _from_start(passage: Passage) -> Passage:
    """Return the passage that is the whole recording: its positions count from the start of the recording."""
    place, said = passage.place, passage.transcript
    assert isinstance(place, Interval), "a known text has times"
    words = tuple(
        replace(one, start=one.start + place.start, end=one.end + place.start) for one in said.words
    )
    characters = tuple(_moved(said.characters, place.start))
    transcript = replace(said, words=words, characters=characters)
    return Passage(transcript, Interval(0.0, place.end), whole=True)


def _unsaid(words: Sequence[KnownWord], placed: dict[int, _Placed]) -> Iterator[Unsaid]:
    """Yield the words without a place, those in a row together."""
    run: list[int] = []
    for number in [*(number for number in range(len(words)) if number not in placed), len(words) + 1]:
        if run and number != run[-1] + 1:
            yield Unsaid(run[0], tuple(words[one].text for one in run))
            run = []
        run.append(number)
