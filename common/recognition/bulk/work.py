"""The unit of bulk work: names in, a row for each, whatever goes wrong with some of them.

names -> opened ahead by threads -> Transcriber.passages -> rows in the order of the names
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from common.data.signal import Source
from common.files.source import PART
from common.recognition.bulk.rows import Row, error_row, text_row
from common.recognition.reading import name_of
from common.recognition.transcriber import Transcriber
from common.text.document import Passage

log = logging.getLogger(__name__)

OPENERS = 4
"""threads that open files; they wait for the network if files have addresses"""
OPENED_AHEAD = 16
"""names whose sources are opened before their turn"""
Open = Callable[[str], list[Source]]
"""returns the sources in a file, such as its pages; ValueError or OSError if it cannot be opened"""


@dataclass(frozen=True)
class BulkWork:
    """Transcribes names, and gives a row for each.

    Args:
        recognizer: reads the sources.
        open: finds the sources of a name.
        batch_budget, alternatives: as for `Transcriber.transcribe`.
    """

    recognizer: Transcriber
    open: Open
    batch_budget: float | None = None
    alternatives: int = 0

    def rows(self, names: Iterable[str]) -> Iterator[Row]:
        """Yield the rows of names in their order.

        The id of a row is its name; of a page of several, the name and its part, as "book.pdf[3]". A file
        that cannot be read gives a row with an error. So does one on which the program itself fails: those
        under way are then read one by one, and the others have their texts. An error of `names`, such as that
        of a list, is raised after the rows of the names before it.
        """
        remaining = _Names(iter(names))
        while True:
            flow = _Flow(self)
            try:
                yield from flow.rows(remaining)
                break
            except Exception:
                log.debug("a batch failed; its sources are read one by one", exc_info=True)
            for name in flow.open_names():
                yield from self._alone(name, flow.answered)
        if remaining.error is not None:
            raise remaining.error

    def _alone(self, name: str, answered: set[str]) -> list[Row]:
        """Return the rows of one name that are not among those `answered`."""
        try:
            found = list(_Flow(self).rows(iter([name])))
        except Exception as error:
            log.debug("%s: failed", name, exc_info=True)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return [error_row(name, f"{name}: the program failed on it ({reason})")]
        return [row for row in found if row["id"] not in answered]


@dataclass
class _Names:
    """Names that end where their list has an error, which is kept: it is no fault of a source."""

    names: Iterator[str]
    error: Exception | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return next(self.names)
        except StopIteration:
            raise
        except Exception as error:
            self.error = error
            raise StopIteration from None


@dataclass
class _Awaited:
    """A row that is to come.

    name, id: the name that was given, and the id of the row.
    source: the name of its source.
    error: why it has no source, "" if it has one.
    """

    name: str
    id: str
    source: str
    error: str = ""


@dataclass
class _Flow:
    """One run through the recognizer, until the names end or it fails.

    A source that cannot be read is refused in its turn, and does not arrive: whatever is awaited before an
    arrival, and has no error of its own, was refused, in this order.
    """

    work: BulkWork
    answered: set[str] = field(default_factory=set)
    """ids of names that have some of their rows, and not all"""
    _awaited: deque[_Awaited] = field(default_factory=deque)
    _refused: deque[str] = field(default_factory=deque)
    _opening: deque[tuple[str, "Future[list[Source]]"]] = field(default_factory=deque)

    def rows(self, names: Iterator[str]) -> Iterator[Row]:
        """Yield the rows of names."""
        recognizer, passages = self.work.recognizer, list[Passage]()
        arrivals = recognizer.passages(
            self._sources(names),
            self.work.batch_budget,
            alternatives=self.work.alternatives,
            refuse=self._refused.append,
        )
        for one in arrivals:
            if one.passage is not None:
                passages.append(one.passage)
            if not one.last:
                continue
            while self._awaited[0].error or self._awaited[0].source != one.source:
                yield self._failed()
            error = "" if one.complete else self._refused.popleft()
            yield self._answered(text_row(self._awaited[0].id, recognizer.document(one, passages), error))
            passages = []
        while self._awaited:
            yield self._failed()

    def open_names(self) -> list[str]:
        """Return the names that were taken, and do not have all of their rows."""
        names = [*(one.name for one in self._awaited), *(name for name, _ in self._opening)]
        return list(dict.fromkeys(names))

    def _failed(self) -> Row:
        first = self._awaited[0]
        return self._answered(error_row(first.id, first.error or self._refused.popleft()))

    def _answered(self, row: Row) -> Row:
        name = self._awaited.popleft().name
        if self._awaited and self._awaited[0].name == name:
            self.answered.add(row["id"])
        else:
            self.answered.clear()
        return row

    def _sources(self, names: Iterator[str]) -> Iterator[Source]:
        """Yield the sources of names, and note the rows that are to come."""
        with ThreadPoolExecutor(OPENERS) as pool:
            while True:
                while len(self._opening) < OPENED_AHEAD and (name := next(names, None)) is not None:
                    self._opening.append((name, pool.submit(self.work.open, name)))
                if not self._opening:
                    return
                name, future = self._opening[0]
                try:
                    sources = future.result()
                except (ValueError, OSError) as error:
                    self._awaited.append(_Awaited(name, name, name, str(error)))
                    sources = []
                self._awaited.extend(_Awaited(name, _id(name, one, sources), name_of(one)) for one in sources)
                self._opening.popleft()
                yield from sources


def _id(name: str, source: Source, sources: list[Any]) -> str:
    """Return the id of the row of a source, one of `sources` of a name."""
    part = PART.search(name_of(source)) if len(sources) > 1 else None
    return name if part is None or name.endswith(part[0]) else name + part[0]
