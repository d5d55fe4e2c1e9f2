"""From an image to the lines on it."""

from common.data.signal import Segment, Segmentation, Source
from common.text.document import Line, Page
from ocr.configuration import SegmentationConfig
from ocr.signal import SignalConfig, read


def segment(source: Source, config: SignalConfig, segmentation: SegmentationConfig) -> Segmentation:
    """Return the lines of an image in reading order. An image is taken for one line; pages are not cut yet.

    Raises:
        ValueError: the image cannot be read.
    """
    signal = read(source, config)
    height = signal.values.shape[1] * signal.unit_per_step  # a line is scaled alike in both directions
    page = Page(round(signal.length), round(height))
    return Segmentation([Segment(signal, Line.rectangle(signal.length, height), whole=True)], page)
