"""From a recording to the utterances in it."""

from collections.abc import Iterator

from asr.signal import SignalConfig, read
from common.data.signal import Segment, Source
from common.recognition.modality import whole


def segment(source: Source, config: SignalConfig) -> Iterator[Segment]:
    """Yield the utterances of a recording in order. A recording is one utterance; it is not cut yet.

    Raises:
        ValueError: the recording cannot be read.
    """
    yield whole(read(source, config))
