"""The image of a single line that lies upside down: it is read both ways where its reading is unsure.

image          as it is     turned      is read
upright        sure                     as it is; the other way is not tried
upside down    unsure       surer       turned
hard to read   unsure       less sure   as it is
"""

import numpy as np

from common.data.signal import Segment, Signal
from common.text.document import Line
from common.text.transcript import Transcript

SURE = 0.9
"""a line with this confidence is not read the other way"""
SURER = 0.1
"""a line lies upside down if the other way is surer by this"""
LEAST_CHARACTERS = 4
"""shorter texts, such as 96 and 69, do not tell how a line lies"""


def may_be_upside_down(segment: Segment, transcript: Transcript) -> bool:
    """Return whether a segment is the image of a single line that is read so unsurely that it may lie so."""
    return segment.whole and isinstance(segment.place, Line) and transcript.confidence < SURE


def upside_down(segment: Segment) -> Segment:
    """Return the image of a single line (W, H) after half a turn; its place runs from right to left."""
    place, signal = segment.place, segment.signal
    assert isinstance(place, Line), "only images of lines are turned"
    upper = place.polygon[: len(place.baseline)]
    turned = Line(upper[::-1], place.above + place.below, 0.0)
    values = np.ascontiguousarray(signal.values[::-1, ::-1])
    return segment._replace(signal=Signal(values, signal.unit_per_step), place=turned)


def is_surer(other: Transcript, transcript: Transcript) -> bool:
    """Return whether the other reading of a line is so much surer that the line lies that way."""
    return len(other.text) >= LEAST_CHARACTERS and other.confidence > transcript.confidence + SURER
