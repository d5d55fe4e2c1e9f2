"""An utterance of a stream: its decoding, and where it ends.

    likeliest     - - h i - - - - - - - - - - - - - - - - - - - - - - - - - y e s - -
    utterances   |          "hi"                    |        "yes" ...
                         |- - - - - - silence - - - - - - -|
                                                    |margin|

An utterance ends after a silence: steps in which no letter is the likeliest class, but the blank or a space,
which some networks write throughout a pause. Beside spaces, the text is the same with one utterance or with
two. The margin, the last steps of the silence, belongs to the next utterance, whose first letter may be faint
there. Compare the endpoint rules of Kaldi (online2/online-endpoint.h): 0.5 to 2 s of silence, or 20 s in all.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from common.decoding.decoder import Decoder
from common.decoding.hypothesis import Hypothesis
from common.decoding.silence import MARGIN_STEPS, WINDOW_STEPS
from common.decoding.stream import StreamUpdate, decoding_stream


@dataclass(frozen=True)
class EndpointConfig:
    """When an utterance of a stream ends; lengths are in seconds, or pixels of an image."""

    silence: float = 1.0
    """Length of the silence that ends an utterance; 0: all of the stream is one utterance."""
    longest: float = 60.0
    """Length of the longest utterance. A longer one is divided where its speaker pauses."""


class Limits(NamedTuple):
    """The lengths of an `EndpointConfig` in steps."""

    silence: int
    longest: int

    @classmethod
    def of(cls, config: EndpointConfig, step: float) -> "Limits | None":
        """Return the limits for steps of this length; None for one utterance of any length.

        Raises:
            ValueError: the silence is shorter than what the decoder takes for silence, or too long.
        """
        if config.silence == 0:
            return None
        shortest = WINDOW_STEPS * step
        if not shortest - step / 2 < config.silence <= config.longest / 2:
            raise ValueError(
                f"utterances end after a silence of {config.silence:g}, where {shortest:.2f} to"
                f" {config.longest / 2:g} was wanted for this model, or 0 for never"
            )
        return cls(round(config.silence / step), round(config.longest / step))


class Ended(NamedTuple):
    """The end of an utterance.

    hypotheses: best first.
    end: the number of its steps; later ones belong to the next utterance.
    """

    hypotheses: list[Hypothesis]
    end: int


class Utterance:
    """The decoding of one utterance.

    Args:
        decoder: its settings and language models are used.
        start: the step of the stream at which the utterance begins.
        limits: where it ends; None for the end of the stream.

    Attributes:
        start: that argument.
        steps: number of steps read.
        tentative: the likeliest continuation.
    """

    def __init__(self, decoder: Decoder, start: int = 0, limits: Limits | None = None) -> None:
        self.start, self.steps, self._limits = start, 0, limits
        self.tentative: list[int] = []
        self._alphabet, self._decoding = decoder.alphabet, decoding_stream(decoder)
        self._letter_end = 0  # step after the last one with a letter
        self._pieces: list[np.ndarray] = []  # all steps (S, C), if there is a limit

    @property
    def is_over(self) -> bool:
        """Whether the utterance has ended in silence, or is as long as it may be."""
        return self._limits is not None and (self._is_silent or self.steps >= self._limits.longest)

    @property
    def _is_silent(self) -> bool:
        return self._limits is not None and self.steps - self._letter_end >= self._limits.silence

    def feed(self, log_probs: np.ndarray) -> StreamUpdate:
        """Read the next steps (S, C), which `room` has counted."""
        if self._limits is not None:
            self._pieces.append(log_probs)
        letters = self._letters(log_probs)
        if len(letters):
            self._letter_end = int(letters[-1]) + 1
        self.steps += len(log_probs)
        update = self._decoding.feed(log_probs)
        self.tentative = update.tentative
        return update

    def room(self, log_probs: np.ndarray) -> int:
        """Return how many of the next steps (S, C) belong to this utterance, until it is over."""
        if self._limits is None:
            return len(log_probs)
        letters = self._letters(log_probs)
        begins = np.concatenate([[self._letter_end], letters + 1])  # of stretches without a letter
        ends = np.concatenate([letters, [self.steps + len(log_probs)]])
        long = np.flatnonzero(ends - begins >= self._limits.silence)
        end = begins[long[0]] + self._limits.silence if len(long) else ends[-1]
        return int(min(end, self._limits.longest)) - self.steps

    def _letters(self, log_probs: np.ndarray) -> np.ndarray:
        """Return which of the next steps (S, C) have a letter as the likeliest class."""
        silent = np.array([True, *map(str.isspace, self._alphabet.symbols)])  # (C,)
        return self.steps + np.flatnonzero(~silent[log_probs.argmax(1)])

    def rows(self, first: int) -> np.ndarray:
        """Return the steps (S, C) from step `first` of the utterance on, of one that has limits."""
        return np.concatenate(self._pieces)[first:]

    def ended(self, count: int = 1) -> Ended:
        """Return the end of an utterance that `is_over`, or of the stream.

        Args:
            count: number of hypotheses; an utterance that is divided has one.
        """
        if not self.is_over:
            return Ended(self._decoding.hypotheses(count), self.steps)
        if self._is_silent:
            end = self.steps - MARGIN_STEPS
            return Ended([_before(end, one) for one in self._decoding.hypotheses(count)], end)
        (best,) = self._decoding.hypotheses()
        number, end = self._division(best)
        return Ended([best._replace(hits=best.hits[:number])], end)

    def _division(self, best: Hypothesis) -> tuple[int, int]:
        """Return how many labels of a hypothesis come before its division, and the step of that.

        It is in the longest pause of the second half: beside a space, if there is one, or between labels. If
        there are no labels, it is here.
        """
        hits, texts = best.hits, self._alphabet.pieces([hit.label for hit in best.hits])
        late = [place for place in range(1, len(hits)) if hits[place - 1].end > self.steps // 2]
        spaces = [place for place in late[:-1] if texts[place].isspace()]
        if spaces:
            place = max(spaces, key=lambda place: hits[place + 1].start - hits[place - 1].end)
            return place, hits[place].end
        if late:
            place = max(late, key=lambda place: hits[place].start - hits[place - 1].end)
            return place, hits[place - 1].end
        return len(hits), self.steps


def _before(end: int, hypothesis: Hypothesis) -> Hypothesis:
    """Return the part of a hypothesis before step `end`; only spaces reach beyond it."""
    hits = [hit._replace(end=min(hit.end, end)) for hit in hypothesis.hits if hit.start < end]
    return hypothesis._replace(hits=hits)
