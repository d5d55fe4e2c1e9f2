"""The passages of sources that are not complete yet, on disk: a call that was ended can be taken up again.

{"settings": "9f0c..."}                                     what the passages depend on
{"source": "a.mp3", "stamp": [1048576, 17...], "passage": {"place": ..., "text": ...}}
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.files.plain_text import json_text
from common.files.source import source_file
from common.text.document import Interval, Line, Passage, Place, Point
from common.text.transcript import Alternative, Character, Transcript, Word

log = logging.getLogger(__name__)

NAME = "unfinished.jsonl"


class Journal:
    """The file of one call. It is written passage by passage, and deleted when all its sources are complete.

    Args:
        folder: where the file is; None for no file.
        settings: what the passages depend on beside their sources.
        resume: whether the passages of an earlier call are taken over, if its settings were the same.
    """

    def __init__(self, folder: Path | None, settings: Any, resume: bool = False) -> None:
        self._path = None if folder is None else folder / NAME
        self._settings = "" if folder is None else _digest(settings)
        self._known: dict[str, list[Passage]] = {}
        self._unfinished = set[str]()
        self._file: Any = None
        if resume and self._path is not None and self._path.exists():
            self._read(self._path)

    def known(self, source: str) -> list[Passage]:
        """Return the first passages of a source, as far as they are known from an earlier call."""
        return list(self._known.get(source, ()))

    def count(self, source: str) -> int:
        """Return how many passages of a source are known from an earlier call."""
        return len(self._known.get(source, ()))

    def is_unfinished(self, source: str) -> bool:
        """Return whether passages of a source are in the file, and not all, so that its text is not whole."""
        return source in self._unfinished

    def complete(self, source: str) -> None:
        """Note that the text of a source is written elsewhere, whole."""
        if source in self._unfinished:
            self._unfinished.remove(source)
            self._known.pop(source, None)
            if self._file is not None:
                self._write({"source": source, "complete": True})

    def add(self, source: str, passage: Passage) -> None:
        """Write the next passage of a source; that of a source that is one segment is not worth it."""
        stamp = _stamp(source)
        if self._path is None or passage.whole or stamp is None:
            return
        if self._file is None:
            self._begin(self._path)
        self._unfinished.add(source)
        self._write({"source": source, "stamp": stamp, "passage": to_dict(passage)})

    def finish(self) -> None:
        """Close the file, and delete it if everything in it is written elsewhere."""
        if self._file is not None:
            self._file.close()
        if self._path is not None and not self._unfinished:
            self._path.unlink(missing_ok=True)

    def _begin(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._write({"settings": self._settings})
        for source, passages in self._known.items():
            for passage in passages:
                self._write({"source": source, "stamp": _stamp(source), "passage": to_dict(passage)})

    def _write(self, row: Mapping[str, Any]) -> None:
        self._file.write(json_text(row, allow_nan=False) + "\n")
        self._file.flush()

    def _read(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        whole = lines[:-1]  # the last one was not finished
        try:
            header, *rows = map(json.loads, whole)
            complete = {row["source"] for row in rows if row.get("complete")}
            rows = [row for row in rows if row["source"] not in complete]
            self._unfinished = {row["source"] for row in rows}
            if header["settings"] != self._settings:
                log.warning("%s: is of a call with other settings, and is not used", path)
                return
            for row in rows:
                if row["stamp"] == _stamp(row["source"]):
                    self._known.setdefault(row["source"], []).append(from_dict(row["passage"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._known = {}
            log.warning("%s: is damaged, and is not used (%s)", path, error)


def _stamp(source: str) -> list[int] | None:
    """Return what tells that a file has changed: its size and its time; None if there is none."""
    try:
        status = os.stat(source_file(source))
    except (OSError, ValueError):
        return None
    return [status.st_size, status.st_mtime_ns]


def to_dict(passage: Passage) -> dict[str, Any]:
    """Return a passage as JSON keeps it, so that `from_dict` returns the same."""
    one, place = passage.transcript, passage.place
    return {
        "text": one.text,
        "confidence": float(one.confidence),
        "words": [_row(word) for word in one.words],
        "characters": [_row(character) for character in one.characters],
        "alternatives": [[other.text, float(other.score)] for other in one.alternatives],
        "source": one.source,
        "unit": one.unit,
        "place": _place_row(place),
        "whole": passage.whole,
        "region": passage.region,
        "name": passage.name,
    }


def from_dict(row: Mapping[str, Any]) -> Passage:
    """Return the passage of `to_dict`; KeyError, TypeError or ValueError if it is none."""
    transcript = Transcript(
        str(row["text"]),
        float(row["confidence"]),
        tuple(Word(*one) for one in row["words"]),
        tuple(Character(*one) for one in row["characters"]),
        tuple(Alternative(*one) for one in row["alternatives"]),
        str(row["source"]),
        str(row["unit"]),
    )
    return Passage(transcript, _place(row["place"]), bool(row["whole"]), row["region"], row["name"])


def _row(one: Word | Character) -> list[Any]:
    return [one.text, float(one.start), float(one.end), float(one.confidence)]


def _place_row(place: Place) -> list[Any]:
    if isinstance(place, Interval):
        return [float(place.start), float(place.end)]
    points = [[[float(x), float(y)] for x, y in line] for line in (place.baseline, place.outline)]
    return [points[0], float(place.above), float(place.below), points[1]]


def _place(row: list[Any]) -> Place:
    if len(row) == 2:
        return Interval(*row)
    baseline, above, below, outline = row
    return Line(tuple(Point(*one) for one in baseline), above, below, tuple(Point(*one) for one in outline))


def _digest(settings: Any) -> str:
    """Return a short name of settings, which is the same only for the same ones."""
    import hashlib  # transcribing to standard output starts without it

    return hashlib.sha256(repr(settings).encode()).hexdigest()
