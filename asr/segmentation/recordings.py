"""From a recording to the utterances in it."""

from asr.configuration import SegmentationConfig
from asr.signal import SignalConfig, read
from common.data.signal import Segmentation, Source
from common.recognition.modality import whole


def segment(source: Source, config: SignalConfig, segmentation: SegmentationConfig) -> Segmentation:
    """Return the utterances of a recording in order. A recording is one utterance; it is not cut yet.

    Raises:
        ValueError: the recording cannot be read.
    """
    return Segmentation([whole(read(source, config))])
