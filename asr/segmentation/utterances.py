"""The utterances of sound that arrives in blocks, such as that of a long file or of a microphone."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from asr.configuration import SegmentationConfig
from asr.segmentation.activity import Activity, AssumedActivity
from asr.segmentation.cutting import Cutter, Span
from asr.signal import within_full_scale
from common.data.signal import Segment, Signal
from common.recognition.modality import ModelSteps
from common.text.document import Interval

CONTEXT_S = 4.0
"""what a window has of each neighbour that it overlaps"""
Listen = Callable[[int], Activity]
"""from samples per second to what judges a recording"""


class Utterances:
    """Cuts sound that arrives in blocks; what is no longer needed of it is let go.

    Args:
        rate_hz: samples per second.
        config: the settings.
        model: what reads the segments.
        listen: returns the network that judges whether somebody speaks.
    """

    def __init__(self, rate_hz: int, config: SegmentationConfig, model: ModelSteps, listen: Listen) -> None:
        self._activity = AssumedActivity(rate_hz) if config.vad == "none" else listen(rate_hz)
        self._cutter = Cutter(config, self._activity.step_s, model.stride is not None)
        self._windows, self._rate_hz = _Windows(rate_hz, self._activity.step_s, model.stride or 1), rate_hz

    @property
    def end_s(self) -> float:
        """Duration of the sound that has come."""
        return self._windows.end / self._rate_hz

    def feed(self, block: np.ndarray) -> "Iterator[Segment | Edge]":
        """Yield what is known with the next samples (N,): segments, and where speech begins and ends."""
        self._windows.append(block)
        yield from self._heard(self._activity.feed(block))
        self._windows.drop_before(self._cutter.needed)

    def finish(self) -> "Iterator[Segment | Edge]":
        """Yield the rest of sound that ends here."""
        yield from self._heard(self._activity.finish())
        speaks = self._cutter.start is not None
        yield from map(self._windows.cut, self._cutter.finish())
        if speaks:
            yield self._edge(False, self._cutter.reached)

    def _heard(self, probabilities: np.ndarray) -> "Iterator[Segment | Edge]":
        cutter = self._cutter
        for step in range(len(probabilities)):
            spoke = cutter.start is not None
            spans = cutter.feed(probabilities[step : step + 1])
            if not spoke and cutter.start is not None:
                yield self._edge(True, cutter.start)
            yield from map(self._windows.cut, spans)
            if spoke and cutter.start is None:
                yield self._edge(False, cutter.reached)

    def _edge(self, begins: bool, step: int) -> "Edge":
        return Edge(begins, min(step * self._activity.step_s, self.end_s))


class Edge(NamedTuple):
    """A time in seconds at which somebody begins to speak after a long pause, or ends before one."""

    begins: bool
    time_s: float


class _Windows:
    """The sound that may still be needed, and the segments that are cut out of it.

    Within a passage, windows start and end at multiples of `stride` from its start, so that the steps of
    neighbours are the same.

    Args:
        rate_hz: samples per second.
        step_s: duration of the steps of spans.
        stride: samples of one step of the model that reads the segments.
    """

    def __init__(self, rate_hz: int, step_s: float, stride: int) -> None:
        self._rate_hz, self._step, self._stride = rate_hz, step_s * rate_hz, stride
        self._context = round(CONTEXT_S * rate_hz / stride) * stride
        self._sound, self._first = np.zeros(0, np.float32), 0  # from sample _first on
        self._passage: int | None = None  # where the passage starts, after a span that goes on
        self._reached = 0  # where the last span ends

    @property
    def end(self) -> int:
        """Number of samples that have come."""
        return self._first + len(self._sound)

    def append(self, block: np.ndarray) -> None:
        """Take the next samples (N,)."""
        self._sound = np.concatenate([self._sound, block])

    def drop_before(self, step: int) -> None:
        """Let go of the sound that neither this step of spans nor a later one needs."""
        needed = max(self._first, int(step * self._step) - self._context - self._stride)
        if needed - self._first > len(self._sound) // 2:
            self._sound, self._first = self._sound[needed - self._first :].copy(), needed

    def cut(self, span: Span) -> Segment:
        """Return the segment of the next span."""
        start = round(span.first * self._step) if self._passage is None else self._reached
        origin = start if self._passage is None else self._passage
        end = min(round(span.end * self._step), self.end)
        if span.goes_on:
            end = origin + round((end - origin) / self._stride) * self._stride
        before = 0 if self._passage is None else min(self._context, start - origin)
        after = min(self._context, self.end - end) if span.goes_on else 0
        values = self._sound[start - before - self._first : end + after - self._first]
        values = within_full_scale(values.copy())
        place = Interval(start / self._rate_hz, end / self._rate_hz)
        self._passage, self._reached = origin if span.goes_on else None, end
        signal = Signal(values, 1 / self._rate_hz)
        return Segment(signal, place, goes_on=span.goes_on, before=before, after=after)
