"""From steps of the network to positions in the signal, and from hypotheses to transcripts.

steps of the network   |  0  |  1  |  2  |  3  |        step s starts at s x stride + offset signal steps
steps of the signal    |||||||||||||||||||||||||        each is `unit_per_step` seconds or pixels long
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from common.data.signal import Signal
from common.decoding.alignment import align, widen
from common.decoding.greedy import Hit
from common.decoding.hypothesis import Hypothesis, missing_labels
from common.text.symbols import Symbols, collapse_pieces
from common.text.transcript import Alternative, Character, Transcript


@dataclass(frozen=True)
class Placing:
    """Makes transcripts of what a decoder has found.

    Args:
        alphabet: the symbols of the labels.
        stride, offset: step s of the network stands for the signal steps from s x stride + offset on.
        unit: unit of all positions: "s" or "px".
        whole: whether one label belongs to the whole signal, instead of to the steps where it was found.
    """

    alphabet: Symbols
    stride: int
    offset: float
    unit: str
    whole: bool = False

    def transcript(
        self, hypotheses: Sequence[Hypothesis], steps: int, signal: Signal, source: str = ""
    ) -> Transcript:
        """Return the transcript of a signal, with positions in units of the original.

        Args:
            hypotheses: the best one first; of the others the transcript keeps text and score.
            steps: number of network steps of the signal.
            signal: the signal, whose length and unit are used.
            source: its name.
        """
        best, *others = hypotheses
        scores: dict[str, float] = {}
        for hypothesis in others:
            scores.setdefault(self._text(hypothesis.hits), hypothesis.score)
        scores.pop(self._text(best.hits), None)
        alternatives = [Alternative(text, score) for text, score in scores.items()]
        characters = self._characters(best.hits, steps, signal)
        return Transcript.from_characters(characters, source, self.unit, alternatives, best.missing)

    def aligned(self, log_probs: np.ndarray, labels: list[int], signal: Signal, source: str) -> Transcript:
        """Return the transcript of a signal whose text is known.

        Args:
            log_probs: (S, C) log-probabilities of the signal.
            labels: the labels of its text.
            signal: the signal, whose length and unit are used.
            source: its name.

        Raises:
            ValueError: the text needs more steps than the signal has.
        """
        try:
            hits = align(log_probs, labels).hits
        except ValueError as error:
            raise ValueError(f"{source}: {error}" if source else str(error)) from None
        characters = self._characters(hits, len(log_probs), signal)
        missing = missing_labels(log_probs, hits)
        return Transcript.from_characters(characters, source, self.unit, missing=missing)

    def position(self, step: float, length: int, unit_per_step: float) -> float:
        """Return where `step` starts in a signal of `length` steps, in seconds or pixels of the original."""
        return min(max(step * self.stride + self.offset, 0), length) * unit_per_step

    def _position(self, step: float, signal: Signal) -> float:
        return self.position(step, len(signal.values), signal.unit_per_step)

    def _characters(self, hits: Sequence[Hit], steps: int, signal: Signal) -> list[Character]:
        """Return the characters of `hits` with their positions in `signal`, which has `steps` steps."""
        written = self._written(hits)
        hits, texts = [hit for hit, _ in written], [text for _, text in written]
        if not self.alphabet.writes_text:
            return self._named(hits, texts, signal)
        edges = widen(hits, [text.isspace() for text in texts], steps).tolist()
        characters = [
            character
            for text, (start, end), hit in zip(texts, edges, hits, strict=True)
            for character in _spread(
                text, self._position(start, signal), self._position(end, signal), hit.confidence
            )
        ]
        if self.alphabet.direction is None:
            return characters
        read = self.alphabet.read([character.text for character in characters])
        return [replace(characters[place], text=text) for place, text in read]

    def _named(self, hits: Sequence[Hit], names: Sequence[str], signal: Signal) -> list[Character]:
        """Return names at the positions of their steps, with separators between; or one name for all."""
        if self.whole:
            return [Character(names[0], 0.0, signal.length, hits[0].confidence)]
        found: list[Character] = []
        separator = self.alphabet.separator
        for hit, name in zip(hits, names, strict=True):
            start, end = self._position(hit.start, signal), self._position(hit.end, signal)
            if found and separator:
                found.append(Character(separator, found[-1].end, start, 1.0))
            found.append(Character(name, start, end, hit.confidence))
        return found

    def _text(self, hits: Sequence[Hit]) -> str:
        """Return the text of the labels of `hits`."""
        read = self.alphabet.read([text for _, text in self._written(hits)])
        return (self.alphabet.separator or "").join(one.text for one in read)

    def _written(self, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        """Return each hit that writes something, with its text.

        If the model learnt texts with one space between words and none at the ends, it writes such texts.
        """
        texts = self.alphabet.pieces([hit.label for hit in hits])
        if self.alphabet.whitespace == "collapse":
            texts = collapse_pieces(texts)
        return [(hit, text) for hit, text in zip(hits, texts, strict=True) if text]


def _spread(text: str, start: float, end: float, confidence: float) -> list[Character]:
    """Return the characters of the text of one label.

    They are equally long, and the product of their confidences is the confidence of the label.
    """
    count = len(text)
    edges = [*(start + (end - start) * place / count for place in range(count)), end]
    return [
        Character(character, first, last, confidence ** (1 / count))
        for character, (first, last) in zip(text, pairwise(edges), strict=True)
    ]
