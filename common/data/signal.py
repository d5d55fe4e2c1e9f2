"""Signals as a network reads them, segments of a source, and what may be a source."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from common.text.document import Page, Place
from common.text.transcript import Transcript

Source = str | Path | BinaryIO


class Signal(NamedTuple):
    """A signal in the form that a model of a given configuration reads.

    values: float32; the first dimension is the direction of reading: samples (N,) in [-1, 1], or columns
        (W, H) in [0, 1] with ink 1.
    unit_per_step: seconds, or pixels of the original image, for one step of `values`.
    """

    values: np.ndarray
    unit_per_step: float

    @property
    def length(self) -> float:
        """The length of the signal in seconds or pixels of the original."""
        return len(self.values) * self.unit_per_step


class Segment(NamedTuple):
    """A signal and its place in its source: an utterance of a recording, or a line of a page.

    Step t of the signal starts `t * signal.unit_per_step` after the start of the segment; `place.part` turns
    such positions into places of the source.

    signal: the samples, or the columns of the line.
    place: where the segment is in the source.
    whole: whether the segment is the whole source.
    region: the name of the region or cue that the segment belongs to, "" for none.
    name: the name of the segment in its source, such as the id of a line, "" for none.
    known: the transcript that the source itself has of it, which then is not recognised; or None.
    goes_on: whether the next segment continues the same passage, as where an utterance is longer than what is
        computed at once. Such segments overlap:

            signal of one       |----------------------|after|
            signal of the next                  |before|----------------------|
                                                       ^ one ends here and the next begins: `place`

    before, after: the signal steps at the start and the end of `signal` that belong to the neighbours. They
        are multiples of the network's stride.
    """

    signal: Signal
    place: Place
    whole: bool = False
    region: str = ""
    name: str = ""
    known: Transcript | None = None
    goes_on: bool = False
    before: int = 0
    after: int = 0


class Segmentation(NamedTuple):
    """The segments of a source in reading order, and its page if it is one.

    Those of a long source come from an iterator, so that only some of them are in memory. It raises a
    ValueError where the source cannot be read further.
    """

    segments: Sequence[Segment] | Iterator[Segment]
    page: Page | None = None
