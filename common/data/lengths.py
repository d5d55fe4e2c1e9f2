"""Lengths of examples: each is measured once and kept in a cache folder of the user."""

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from common.data.manifest import Example, is_length
from common.files.aside import written_aside
from common.files.source import absolute, stamp
from common.files.tars.member import Member

log = logging.getLogger(__name__)

STATED_SLACK = 0.5
"""how far a length that a corpus states may be from the measured one: seconds, or line heights"""


def with_lengths(
    examples: Sequence[Example], measure: Callable[[str], float], cache: Path | None
) -> tuple[list[Example], list[str]]:
    """Return `examples` with every length known, and one sentence for each that could not be measured.

    Examples that could not be measured are not among those returned, nor are those whose stated length is
    wrong by more than STATED_SLACK: their text may belong to another part of the source. Measured lengths are
    kept in `cache` and taken from there as long as the size and the modification time of the file stay the
    same.

    Args:
        examples: those whose stated length is right are returned unchanged.
        measure: returns the length of a source, or raises ValueError or OSError.
        cache: a file of JSON lines (source, size, mtime_ns, length), created if missing; None: no cache.
    """
    from tqdm import tqdm  # here: its import takes a tenth of the time in which a file is transcribed

    known = _read_cache(cache) if cache else {}
    entries: dict[str, _Entry] = {}
    measured, problems = [], []
    for example in tqdm(examples, desc="measuring", unit=" files", disable=None, leave=False):
        if isinstance(example.source, Member) and example.length is not None:  # `shards` has measured it
            measured.append(example)
            continue
        source = absolute(example.source)
        try:
            version = stamp(source)
            entry = entries.get(source) or known.get(source)
            if entry is None or entry[:2] != version:
                entry = _Entry(*version, measure(example.source))
            entries[source] = entry
            measured.append(_with_length(example, entry.length))
        except (ValueError, OSError) as error:
            problems.append(_problem(example, error))
    if cache and any(known.get(source) is not entry for source, entry in entries.items()):
        _write_cache(cache, entries)
    return measured, problems


def cache_folder() -> Path:
    """Return the folder in the user's cache folder for what need not be found out again."""
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not home.is_absolute():  # the XDG base directory specification: ignore relative paths
        home = Path.home() / ".cache"
    return home / "amanuensis"


def length_cache(path: str | Path) -> Path:
    """Return the file in the user's cache folder that keeps the lengths of the corpus at `path`."""
    import hashlib

    name = hashlib.sha256(os.fsencode(Path(path).resolve())).hexdigest()[:32]
    return cache_folder() / f"lengths-{name}.jsonl"


def _with_length(example: Example, length: float) -> Example:
    """Return `example` with the length that it states, or else with the measured `length`."""
    if example.length is None:
        return replace(example, length=length)
    if abs(example.length - length) > STATED_SLACK:
        raise ValueError(
            f"{example.source}: its length is stated as {example.length:g} and is {length:.2f}; "
            "correct it or leave it out"
        )
    return example


def _problem(example: Example, error: Exception) -> str:
    if isinstance(error, OSError):
        sentence = (
            f"{example.source}: cannot be read ({error.strerror or error}); restore it or drop the example"
        )
    else:
        sentence = str(error)
    return f"{example.origin}: {sentence}" if example.origin else sentence


class _Entry(NamedTuple):
    size: int
    mtime_ns: int
    length: float


def _read_cache(cache: Path) -> dict[str, _Entry]:
    try:
        lines = cache.read_bytes().split(b"\n")
    except OSError:
        return {}
    known = {}
    for line in lines:
        try:
            fields = json.loads(line)
            entry = _Entry(fields["size"], fields["mtime_ns"], fields["length"])
            if is_length(entry.length):
                known[fields["source"]] = entry
        except (ValueError, TypeError, KeyError, RecursionError):
            continue  # an example with a broken entry is measured again
    return known


def _write_cache(cache: Path, entries: dict[str, _Entry]) -> None:
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(cache) as file:
            for source, entry in entries.items():
                file.write(json.dumps({"source": source, **entry._asdict()}).encode() + b"\n")
    except OSError as error:
        log.warning("%s: lengths are not kept (%s); they will be measured again", cache, error.strerror)
