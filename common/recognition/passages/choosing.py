"""Sources that a model is unsure of are read by a second model, too, and the surer reading is taken.

                 first model   second model   is read by
    print        sure          not asked      the first
    handwriting  unsure        much surer     the second
    neither      unsure        unsure, too    the first

A source is a page, or the image of a single line. It is read again from its beginning, so that the result is
that of the second model alone.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from common.data.signal import Signal, Source
from common.recognition.passages.joining import Arrival
from common.text.document import Passage

log = logging.getLogger(__name__)

Model = TypeVar("Model")
"""a recognizer"""

SURE = 0.9
"""expected share of right characters in a source from which on no other model is asked"""
SURER = 0.1
"""the second model reads a source if it is surer by this"""


def certainty(passages: Iterable[Passage]) -> float:
    """Return the expected share of right characters in all passages; 1 if there is none."""
    found = [passage.transcript for passage in passages]
    weights = [max(1, len(one.characters)) for one in found]
    return float(np.average([one.confidence for one in found], weights=weights)) if found else 1.0


class SecondModel(Generic[Model]):
    """A recognizer that is loaded once a source wants it.

    Args:
        name: how it is called in messages.
        load: returns it.
    """

    def __init__(self, name: str, load: Callable[[], Model]) -> None:
        self.name, self._load = name, load
        self._loaded: Model | None = None

    def loaded(self) -> Model:
        """Return the recognizer."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def prepare(self, change: Callable[[Model], None]) -> None:
        """Have the recognizer changed when it is loaded, as by flags; it must not have been loaded before."""
        load = self._load

        def prepared() -> Model:
            recognizer = load()
            change(recognizer)
            return recognizer

        self._load = prepared

    def surer(
        self,
        source: Source | Signal,
        arrivals: Sequence[Arrival],
        read: Callable[[Model, Source], Iterator[Arrival]],
    ) -> Sequence[Arrival]:
        """Return all arrivals of a source: these, or those of this model.

        Args:
            source: a Signal, or a stream that cannot be read again, stays as it is.
            arrivals: of the first model.
            read: `(recognizer, source)` returns the arrivals of another recognizer.
        """
        passages = _passages(arrivals)
        if isinstance(source, Signal) or certainty(passages) >= SURE or not rewound(source):
            return arrivals
        others = list(read(self.loaded(), source))
        if not is_surer_reading(_passages(others), passages):
            return arrivals
        log.info("%s: is read by the model %s, which is surer of it", arrivals[0].source, self.name)
        return others


def _passages(arrivals: Iterable[Arrival]) -> list[Passage]:
    return [one.passage for one in arrivals if one.passage is not None]


def is_surer_reading(others: Sequence[Passage], passages: Sequence[Passage]) -> bool:
    """Return whether other passages of a source have text, and are so much surer than these."""
    return any(one.transcript.text for one in others) and certainty(others) > certainty(passages) + SURER


def rewound(source: Source) -> bool:
    """Return whether a source can be read from its beginning, where it is afterwards."""
    if isinstance(source, str | Path):
        return True
    if not source.seekable():
        return False
    source.seek(0)
    return True


def of_each_source(arrivals: Iterable[Arrival]) -> Iterator[list[Arrival]]:
    """Yield the arrivals of each source together."""
    together = list[Arrival]()
    for one in arrivals:
        together.append(one)
        if one.last:
            yield together
            together = []
    if together:
        yield together
