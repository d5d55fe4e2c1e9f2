"""From a recording to the utterances in it: read in blocks, cut where nobody speaks.

blocks of sound -> probability of speech -> spans -> segments, whose windows overlap where there is no pause
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from asr.configuration import SegmentationConfig
from asr.segmentation.utterances import Listen, Utterances
from asr.signal import SignalConfig, measure, pieces, read
from asr.source import source_name
from common.data.signal import Segment, Segmentation, Source
from common.files.pipe import PipeContent
from common.recognition.modality import ModelSteps, whole


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
    utterances = Utterances(config.sample_rate_hz, segmentation, model, listen)
    return Segmentation(_segments(pieces(source, config), utterances))


def _segments(blocks: Iterator[np.ndarray], utterances: Utterances) -> Iterator[Segment]:
    """Yield the segments of a recording that comes in blocks (N,)."""
    failure, any_yet = None, False
    try:
        for block in blocks:
            for one in utterances.feed(block):
                if isinstance(one, Segment):
                    any_yet = True
                    yield one
    except ValueError as error:
        failure = error
    for one in utterances.finish():
        if isinstance(one, Segment):
            any_yet = True
            yield one
    if failure is not None:
        done = f"; the {utterances.end_s:.1f} s before that are transcribed" if any_yet else ""
        raise ValueError(f"{failure}{done}")
