"""Files on which the process itself ends, as by a fault of a library, are found, and the others done.

first call    names in batches                     ends without a word; its note stays
second call   goes on after the rows that are there ends again, before any further row
third call    the next names one by one, each noted ends on one of them
fourth call   that one has an error for a row, and the others their texts
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

from common.files.aside import written_aside
from common.recognition.bulk.rows import Row, error_row
from common.recognition.bulk.work import OPENED_AHEAD, BulkWork

SUSPECTS = 256 + OPENED_AHEAD
"""names that are read one by one: as many as may have been under way (`Transcriber.passages`)"""


class Note(Protocol):
    """A small text that outlives the process."""

    def read(self) -> str | None:
        """Return the text, or None if there is none."""

    def write(self, text: str) -> None:
        """Write the text."""

    def remove(self) -> None:
        """Remove the text."""


class NoteFile:
    """A note in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> str | None:
        """Return the text, or None if there is none."""
        return self.path.read_text(encoding="utf-8") if self.path.exists() else None

    def write(self, text: str) -> None:
        """Write the text."""
        with written_aside(self.path, sync=False) as file:
            file.write(text.encode())

    def remove(self) -> None:
        """Remove the text."""
        self.path.unlink(missing_ok=True)


def guarded_rows(work: BulkWork, names: Iterator[str], note: Note, progress: int) -> Iterator[Row]:
    """Yield the rows of names, as `BulkWork.rows`, and find out which name ended an earlier process.

    Args:
        work: reads the names.
        names: without those that have rows; those of the earlier process come first.
        note: that of the earlier process, if it ended without a word.
        progress: how much has been written; the same if nothing came since.
    """
    before = _understood(note.read())
    try:
        if before is not None and (before["alone"] or before["progress"] == progress):
            for name in islice(names, SUSPECTS):
                if name == before["alone"]:
                    yield error_row(
                        name, f"{name}: the process ended without a word while it read this alone"
                    )
                    continue
                note.write(json.dumps({"progress": progress, "alone": name}))
                yield from work.rows([name])
        note.write(json.dumps({"progress": progress, "alone": ""}))
        yield from work.rows(names)
    finally:  # not after the end that this is about
        note.remove()


def _understood(text: str | None) -> dict | None:
    try:
        note = None if text is None else json.loads(text)
        return {"progress": int(note["progress"]), "alone": str(note["alone"])} if note else None
    except (ValueError, KeyError, TypeError):  # torn
        return None
