"""From a recording to the utterances in it: read in blocks, cut where nobody speaks.

blocks of sound -> probability of speech -> spans -> segments, whose windows overlap where there is no pause
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from asr.configuration import SegmentationConfig
from asr.segmentation.activity import Activity, AssumedActivity
from asr.segmentation.cutting import Cutter, Span
from asr.signal import SignalConfig, measure, pieces, read
from asr.source import source_name
from common.data.signal import Segment, Segmentation, Signal, Source
from common.files.pipe import PipeContent
from common.recognition.modality import ModelSteps, whole
from common.text.document import Interval

CONTEXT_S = 4.0
"""what a window has of each neighbour that it overlaps"""
Listen = Callable[[int], Activity]
"""from samples per second to what judges a recording"""


def segment(
    source: Source, config: SignalConfig, segmentation: SegmentationConfig, model: ModelSteps, listen: Listen
) -> Segmentation:
    """Return the utterances of a recording in order.

    A recording of at most `vad_max_speech_duration_s` is one segment, and so is any for a model that gives
    one label to all of it. The segments of a longer one come from an iterator, which reads the recording in
    blocks. Times are those of the recording.

    Args:
        source: a file, a part of one, or an open binary stream.
        config: the sample rate.
        segmentation: the settings.
        model: what reads the segments.
        listen: returns the network that judges whether somebody speaks.

    Raises:
        ValueError: the recording cannot be read; later on, of the iterator, it cannot be read further.
    """
    if model.task == "classify":
        return Segmentation([whole(read(source, config))])
    if not isinstance(source, str | Path):
        source = PipeContent(source.read(), source_name(source))  # it is opened twice
    duration_s = measure(source)
    if not isinstance(source, str | Path):
        source.seek(0)
    if duration_s <= segmentation.vad_max_speech_duration_s:
        return Segmentation([whole(read(source, config))])
    rate_hz = config.sample_rate_hz
    activity = AssumedActivity(rate_hz) if segmentation.vad == "none" else listen(rate_hz)
    cutter = Cutter(segmentation, activity.step_s, model.stride is not None)
    return Segmentation(_segments(pieces(source, config), activity, cutter, rate_hz, model.stride or 1))


def _segments(
    blocks: Iterator[np.ndarray], activity: Activity, cutter: Cutter, rate_hz: int, stride: int
) -> Iterator[Segment]:
    """Yield the segments of a recording that comes in blocks (N,); what is no longer needed is let go."""
    windows = _Windows(rate_hz, activity.step_s, stride)
    failure, any_yet = None, False
    try:
        for block in blocks:
            windows.append(block)
            for span in cutter.feed(activity.feed(block)):
                any_yet = True
                yield windows.cut(span)
            windows.drop_before(cutter.needed)
    except ValueError as error:
        failure = error
    for span in [*cutter.feed(activity.finish()), *cutter.finish()]:
        any_yet = True
        yield windows.cut(span)
    if failure is not None:
        done = f"; the {windows.end / rate_hz:.1f} s before that are transcribed" if any_yet else ""
        raise ValueError(f"{failure}{done}")


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
        peak = max(float(values.max()), -float(values.min()))
        values = values / np.float32(peak) if peak > 1 else values.copy()
        place = Interval(start / self._rate_hz, end / self._rate_hz)
        self._passage, self._reached = origin if span.goes_on else None, end
        signal = Signal(values, 1 / self._rate_hz)
        return Segment(signal, place, goes_on=span.goes_on, before=before, after=after)
