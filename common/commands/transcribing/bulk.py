"""What transcribe does with --format jsonl: a row for each file, in one file of the call."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from common.command_line.parser import UsageError
from common.commands.flags.transcribe import JSON_LINES, TranscribeFlags
from common.commands.output import ItemsFailedError, writing
from common.files.standard import STANDARD_OUTPUT
from common.recognition.bulk.attempt import NoteFile, guarded_rows
from common.recognition.bulk.keys import Keys
from common.recognition.bulk.listing import Shard, key_of, names_in, parse_shard
from common.recognition.bulk.rows import Row, RowFile
from common.recognition.bulk.work import BulkWork
from common.recognition.modality import Modality
from common.recognition.sources import Parts, find_files, sources_in
from common.recognition.transcriber import Transcriber

log = logging.getLogger(__name__)

SAID_EVERY_S = 60.0
"""seconds between lines that say how far a call is"""


def shard_of(arguments: TranscribeFlags) -> Shard:
    """Return the share of the files that a call is to take.

    Raises:
        UsageError: there is no such share.
    """
    try:
        return Shard() if arguments.shard is None else parse_shard(arguments.shard)
    except ValueError as error:
        raise UsageError(f"--shard: {error}") from None


def wanted_names(
    modality: Modality, arguments: TranscribeFlags, refuse: Callable[[str], None]
) -> Iterator[str]:
    """Yield the names of the files of this call: those on the command line and in the list, in its share."""
    shard = shard_of(arguments)
    for name in arguments.files:
        if shard.has(name):
            yield name
    if arguments.list is not None:
        yield from filter(shard.has, names_in(modality, arguments.list, refuse))


def check_bulk(arguments: TranscribeFlags) -> None:
    """Raise UsageError for flags of lists and rows that do not go together."""
    shard_of(arguments)
    if arguments.stream and (arguments.list or arguments.shard or arguments.format == JSON_LINES):
        raise UsageError("--stream: has no --list, no --shard and no rows; leave them out")
    if arguments.retry_failed and (arguments.format != JSON_LINES or arguments.output_dir is None):
        raise UsageError(f"--retry-failed: is for --format {JSON_LINES} in an --output-dir; say both")
    if arguments.list == "-" and "-" in arguments.files:
        raise UsageError("--list -: standard input is the list, and cannot be a file, too; name a file")


class Tally:
    """What became of the files of a call, said every minute and at the end."""

    def __init__(self, modality: Modality) -> None:
        self.modality = modality
        self.done = self.failed = self.left = self.twice = 0
        self._began = self._said = time.monotonic()

    def count(self, row: Row) -> None:
        """Count a row."""
        if "error" in row:
            self.failed += 1
        else:
            self.done += 1
        if time.monotonic() - self._said > SAID_EVERY_S:
            self._said = time.monotonic()
            log.info("%s", self)

    def __str__(self) -> str:
        rate = self.done / max(1e-9, time.monotonic() - self._began)
        parts = [f"{self.done:,} transcribed ({rate:.1f} a second)", f"{self.failed:,} failed"]
        if self.left:
            parts.append(f"{self.left:,} done before")
        if self.twice:
            parts.append(f"{self.twice:,} named twice")
        return f"{self.modality.source}s: {', '.join(parts)}"


def run_bulk(modality: Modality, arguments: TranscribeFlags, recognizer: Transcriber, settings: Any) -> None:
    """Write the row of each file.

    Args:
        modality: what the files are.
        arguments: the flags.
        recognizer: what reads them, as the flags want it.
        settings: what the texts depend on beside the files.

    Raises:
        ItemsFailedError: some files have no text; their rows say why.
    """
    rows = RowFile(arguments.output_dir, shard_of(arguments), settings, arguments.retry_failed)
    tally, problems = Tally(modality), list[str]()

    def refuse(sentence: str) -> None:
        problems.append(sentence)
        print(f"{modality.name}: {sentence}", file=sys.stderr)

    parts = Parts(arguments.channel, arguments.audio_track, arguments.raw)
    work = BulkWork(
        recognizer,
        partial(sources_in, modality, wanted=parts),
        arguments.batch_budget,
        arguments.alternatives,
    )
    wanted = wanted_names(modality, arguments, refuse)
    files = (file for file, _ in find_files(modality, wanted, arguments.recursive, refuse))
    with writing(STANDARD_OUTPUT if arguments.output_dir is None else arguments.output_dir):
        for row in _guarded(work, _new(files, rows.before.keys, tally), rows.path):
            if key_of(row["id"]) not in rows.before.keys:  # a page of a file whose other pages were to come
                rows.write(row)
                tally.count(row)
                if "error" in row and arguments.output_dir is None:
                    print(f"{modality.name}: {row['error']}", file=sys.stderr)
        rows.close()
    log.info("%s", tally)
    failed = tally.failed + rows.before.failed + len(problems)
    if failed:
        retry = " (--retry-failed takes them again)" if arguments.output_dir is not None else ""
        where = "their rows or the lines above say why" if problems else "their rows say why"
        raise ItemsFailedError(f"{modality.source}s without a text: {failed:,}; {where}{retry}")


def _guarded(work: BulkWork, names: Iterator[str], path: Path | None) -> Iterator[Row]:
    """Yield the rows of names; those of a file survive what ends the process, too."""
    if path is None:
        return work.rows(names)
    return guarded_rows(work, names, NoteFile(path.with_suffix(".attempt")), path.stat().st_size)


def _new(names: Iterator[str], before: Keys, tally: Tally) -> Iterator[str]:
    """Yield the names without a row; one that is named twice is said and taken once."""
    seen = Keys()
    for name in names:
        key = key_of(name)
        if key in seen:
            log.warning("%s: is named twice, and taken once", name)
            tally.twice += 1
        elif key in before:
            tally.left += 1
        else:
            yield name
        seen.add(key)
