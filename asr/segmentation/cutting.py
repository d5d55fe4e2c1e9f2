"""Where a long recording is cut, from the probability of speech in each of its steps.

    speech    ____|=====|_|======|_____________________|====|__|=================================|...
    spans       [------------------]                 [------------------)[--------------)[--------...
                 speech_pad         a long pause       a short pause,     no pause in 30 s: the next span
                                    is left out        cut in its middle  goes on where this one ends

A span ends in the first pause of `vad_min_silence_duration_ms`; else, when it has
`vad_max_speech_duration_s`, in the middle of the longest pause after two thirds of that time; else at two
thirds. Nothing but long pauses is outside of all spans. The names of the settings, and what they mean, are
those of faster-whisper (https://github.com/SYSTRAN/faster-whisper), which has them from Silero VAD.
"""

from typing import NamedTuple

import numpy as np

from asr.configuration import SegmentationConfig

EARLIEST_CUT = 2 / 3
"""share of the longest duration after which a span is cut in a short pause"""
SHORTEST_PAUSE_S = 0.1
"""shorter silences are closures within words"""
LONGEST_PASSAGE_S = 300.0
"""spans that go on are a passage of this duration at most, whose text comes at its end"""


class Span(NamedTuple):
    """The steps [first, end) of a recording that are transcribed together.

    goes_on: whether the next span continues this one, without a pause between them.
    """

    first: int
    end: int
    goes_on: bool = False


class Cutter:
    """Finds the spans of a recording whose probabilities of speech arrive in pieces.

    Args:
        config: the settings.
        step_s: duration of a step in seconds.
        joins: whether a span may go on in the next; otherwise it is cut where speech is least likely.

    Attributes:
        start: the first step of the span in the making, None in a long pause.
        reached: the step at which the last span ended.
    """

    def __init__(self, config: SegmentationConfig, step_s: float, joins: bool) -> None:
        self._config, self._joins = config, joins
        self._longest = max(3, round(config.vad_max_speech_duration_s / step_s))
        self._silence = max(1, round(config.vad_min_silence_duration_ms / 1000 / step_s))
        self._pad = round(config.vad_speech_pad_ms / 1000 / step_s)
        self._shortest_pause = max(1, round(SHORTEST_PAUSE_S / step_s))
        self._longest_passage = round(LONGEST_PASSAGE_S / step_s)
        self._step = 0  # the next one
        self.reached = 0
        self.start: int | None = None
        self._passage = 0  # where the passage of this span starts
        self._spoken = -1  # the last step with speech
        self._quiet: int | None = None  # where the pause at the end of the span starts
        self._pauses: list[tuple[int, int]] = []  # the others in this span
        self._probabilities: list[float] = []  # of this span

    @property
    def needed(self) -> int:
        """The first step that a later span may have."""
        return max(self.reached, self._step - self._pad) if self.start is None else self.start

    def feed(self, probabilities: np.ndarray) -> list[Span]:
        """Return the spans that are complete with the next steps (S,)."""
        found = list[Span]()
        for probability in probabilities.tolist():
            self._hear(probability)
            if self.start is None:
                continue
            if self._quiet is not None and self._step - self._quiet >= self._silence:
                found += self._end(min(self._quiet + self._pad, self._step))
            elif self._step - self.start >= self._longest:
                found.append(self._cut())
        return found

    def finish(self) -> list[Span]:
        """Return the last spans of a recording that ends here."""
        if self.start is None:
            return []
        end = self._step if self._quiet is None else min(self._quiet + self._pad, self._step)
        return self._end(end)

    def _hear(self, probability: float) -> None:
        step, self._step = self._step, self._step + 1
        if probability >= self._config.vad_threshold:
            self._spoken = step
            if self.start is None:
                self.start = self._passage = max(self.reached, step - self._pad)
                self._probabilities = [0.0] * (step - self.start)
            if self._quiet is not None:
                self._pauses.append((self._quiet, step))
                self._quiet = None
        elif self.start is not None and self._quiet is None and probability < self._neg_threshold:
            self._quiet = step
        if self.start is not None:
            self._probabilities.append(probability)

    @property
    def _neg_threshold(self) -> float:
        wanted = self._config.vad_neg_threshold
        return max(0.01, self._config.vad_threshold - 0.15) if wanted is None else wanted

    def _end(self, end: int) -> list[Span]:
        """End the span in a long pause, or with the recording; a rest without speech is no span."""
        assert self.start is not None, "there is a span to end"
        found = [Span(self.start, end)] if self._spoken >= self.start or self.start > self._passage else []
        self.reached, self.start, self._quiet, self._pauses = end, None, None, []
        return found

    def _cut(self) -> Span:
        """Cut a span that is too long."""
        assert self.start is not None, "there is a span to cut"
        first = self.start
        earliest = first + round(EARLIEST_CUT * self._longest)
        open_pause = [] if self._quiet is None else [(self._quiet, self._step)]
        pauses = [(max(start, earliest), end) for start, end in self._pauses + open_pause if end > earliest]
        start, end = max(pauses, key=lambda pause: pause[1] - pause[0], default=(0, 0))
        goes_on = False
        if end - start >= self._shortest_pause:
            place = (start + end) // 2
        elif self._joins and earliest - self._passage < self._longest_passage:
            place, goes_on = earliest, True
        else:
            place = earliest + int(np.argmin(self._probabilities[earliest - first : self._longest]))
        self.start = self.reached = place
        self._probabilities = self._probabilities[place - first :]
        self._pauses = [pause for pause in self._pauses if pause[0] >= place]
        if self._quiet is not None:
            self._quiet = max(self._quiet, place)
        if not goes_on:
            self._passage = place
        return Span(first, place, goes_on)
