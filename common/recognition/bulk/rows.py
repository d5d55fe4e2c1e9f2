"""Rows of JSON, one for each source: its text, or why it has none. A kill leaves whole rows.

out/transcription.json      what the texts depend on, and the number of shards
out/part-3-of-16.jsonl      {"id": "a.png", "text": "...", "confidence": 0.98, "unit": "px", "words": [...]}
                            {"id": "b.png", "error": "b.png: ..."}
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from common.files.aside import written_aside
from common.files.plain_text import json_text
from common.files.standard import ANY_NAME
from common.recognition.bulk.keys import Keys
from common.recognition.bulk.listing import Shard, key_of
from common.text.document import Document, Interval, Line, Passage, Place
from common.text.transcript import Transcript, Word

log = logging.getLogger(__name__)

SETTINGS_NAME = "transcription.json"
OPENING = b'{"id": '
"""how each row begins"""
FAILED = ', "error": '
"""how a row without a text goes on after its id"""
BLOCK_BYTES = 1 << 16

Row = dict[str, Any]


def text_row(name: str, document: Document, error: str = "") -> Row:
    """Return the row of a document.

    Args:
        name: the id of the row.
        document: what was read.
        error: why it could not be read to its end, "" if it could.
    """
    passages = document.passages
    row: Row = {"id": name} | ({"error": error} if error else {})
    row |= {"text": document.text, "confidence": _confidence(passages), "unit": document.unit}
    if document.is_whole:
        return row | _details(passages[0].transcript)
    return row | {
        "passages": [
            {"place": _place(one.place), "text": one.transcript.text} | _details(one.transcript)
            for one in passages
        ]
    }


def error_row(name: str, error: str) -> Row:
    """Return the row of a source that has no text, with the sentence that says why."""
    return {"id": name, "error": error}


def _details(transcript: Transcript) -> Row:
    details: Row = {"confidence": _share(transcript.confidence), "words": list(map(_word, transcript.words))}
    if transcript.alternatives:
        details["alternatives"] = [
            {"text": one.text, "score": round(float(one.score), 4)} for one in transcript.alternatives
        ]
    return details


def _word(word: Word) -> Row:
    return {
        "text": word.text,
        "start": round(float(word.start), 3),
        "end": round(float(word.end), 3),
        "confidence": _share(word.confidence),
    }


def _confidence(passages: Sequence[Passage]) -> float:
    """Return the expected share of right characters over all passages."""
    weights = [max(1, len(one.transcript.text)) for one in passages]
    total = sum(weight * one.transcript.confidence for weight, one in zip(weights, passages, strict=True))
    return _share(total / sum(weights)) if weights else 1.0


def _share(value: float) -> float:
    return round(float(value), 4)


def _place(place: Place) -> Row:
    if isinstance(place, Interval):
        return {"start": round(float(place.start), 3), "end": round(float(place.end), 3)}
    assert isinstance(place, Line), "a place is one of both"
    lines = {"baseline": place.baseline, "polygon": place.polygon}
    return {name: [[round(float(x), 1), round(float(y), 1)] for x, y in line] for name, line in lines.items()}


class Before(NamedTuple):
    """What an earlier call has left in a file: the keys of its ids, and how many of them failed."""

    keys: Keys
    failed: int


class RowFile:
    """Where the rows of one shard go. Each is written at once, so that a kill loses none that is complete.

    Args:
        folder: of the files of all shards; None for standard output.
        shard: which of them.
        settings: what the texts depend on beside their sources.
        retry_failed: whether the rows without a text are taken out, so that these are read again.

    Attributes:
        before: what is there already.
        path: the file; None for standard output.

    Raises:
        ValueError: the folder holds texts of other settings, or of another number of shards; or another call
            is adding rows to the file.
    """

    def __init__(self, folder: Path | None, shard: Shard, settings: Any, retry_failed: bool = False) -> None:
        self.before = Before(Keys(), 0)
        self.path: Path | None = None
        self._file: BinaryIO | None = None
        if folder is None:
            return
        _check(folder, shard, settings)
        self.path = path = folder / f"part-{shard.number}-of-{shard.total}.jsonl"
        self._file = _open_alone(path)
        _cut_torn_row(path)
        if retry_failed:
            _take_out_failed(path)
            self._file = _open_alone(path)  # another file of the same name
        self.before = _read(path)

    def write(self, row: Row) -> None:
        """Write a row."""
        line = json_text(row, allow_nan=False) + "\n"
        if self._file is None:
            sys.stdout.write(line)
            sys.stdout.flush()
        else:
            self._file.write(line.encode("utf-8", errors=ANY_NAME))

    def close(self) -> None:
        """See to it that the rows are on the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()


def _check(folder: Path, shard: Shard, settings: Any) -> None:
    """Write what the texts of a folder depend on, or check that it is the same."""
    import hashlib  # other calls start without it

    digest = hashlib.sha256(repr(settings).encode()).hexdigest()
    path, ours = folder / SETTINGS_NAME, {"shards": shard.total, "settings": digest}
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        with written_aside(path) as file:
            file.write(json_text(ours).encode() + b"\n")
        return
    except ValueError:
        theirs = None
    if not isinstance(theirs, dict):
        raise ValueError(f"{path}: is damaged; choose another --output-dir")
    if theirs.get("shards") != shard.total:
        raise ValueError(
            f"{folder}: holds a transcription in {theirs.get('shards')} shards, not {shard.total};"
            " go on with that number, or choose another --output-dir"
        )
    if theirs.get("settings") != digest:
        raise ValueError(
            f"{folder}: holds texts of another model or of other flags; repeat those, or choose another"
            " --output-dir"
        )


def _open_alone(path: Path) -> BinaryIO:
    """Open a file to add rows, and hold it until the process ends, however it ends.

    Raises:
        ValueError: another call holds it.
    """
    file = path.open("ab", buffering=0)
    try:
        import fcntl  # not on Windows

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ValueError(
            f"{path}: another call is adding rows to it; wait for its end, or choose another share or"
            " --output-dir"
        ) from None
    except (ImportError, OSError):
        log.debug("%s: cannot be locked here", path, exc_info=True)
    return file


def _cut_torn_row(path: Path) -> None:
    """Cut off what follows the last line break: a row whose writer was killed."""
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - BLOCK_BYTES)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                file.truncate(start + found + 1)
                return
            end = start
        file.truncate(0)


def _take_out_failed(path: Path) -> None:
    """Write a file anew without the rows that have failed."""
    with written_aside(path) as kept:
        for line, _, failed in _rows(path):
            if not failed:
                kept.write(line)


def _read(path: Path) -> Before:
    keys, failures = Keys(), 0
    for _, name, failed in _rows(path):
        keys.add(key_of(name))
        failures += failed
    return Before(keys, failures)


def _rows(path: Path) -> Iterator[tuple[bytes, str, bool]]:
    """Yield each line of a file, the id of its row, and whether it has failed.

    Raises:
        ValueError: a line is no row.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                name, failed = id_and_failure(line)
            except ValueError:
                raise ValueError(f"{path}:{number}: is no row of a transcription; take it out") from None
            yield line, name, failed


def id_and_failure(line: bytes) -> tuple[str, bool]:
    """Return the id of a row, and whether it has failed; the rest of the row is not parsed.

    Raises:
        ValueError: the line is no row.
    """
    if not line.startswith(OPENING):
        raise ValueError("a row begins with its id")
    text = line.decode("utf-8")
    name, end = json.JSONDecoder().raw_decode(text, len(OPENING))
    return name, text.startswith(FAILED, end)
