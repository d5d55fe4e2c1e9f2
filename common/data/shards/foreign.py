"""Tars that other programs have written, read through once.

webdataset    KEY.flac KEY.json KEY.txt     a sample is what has one name up to its first dot; its text is
                                            that of the JSON, or the one line of the TXT
lhotse Shar   recording.000000.tar          ID.flac ID.json, and the texts in cuts.000000.jsonl.gz beside
"""

import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from common.data.lengths import STATED_SLACK
from common.data.manifest import Corpus, Example, is_length, speaker_in, text_in
from common.data.shards.shar import cuts_beside, read_cuts
from common.data.signal import Source
from common.files.pipe import PipeContent
from common.files.plain_text import json_object, only_line
from common.files.tars.address import open_file
from common.files.tars.listing import Entry, list_tar
from common.files.tars.member import Member, digest_of

TEXT_KEYS = ("text", "transcript", "transcription", "sentence")
LENGTH_KEYS = ("length", "duration")
TEXT_ENDINGS = (".txt", ".gt.txt")
META = re.compile(r"__[^/]*__(/|$)")
"""names that webdataset keeps for itself: "__index__" """
LINE_BREAK = re.compile(r"[\n\r]")


Content = Callable[[Entry], bytes]
"""returns the bytes of a file in a tar"""


class Kind(NamedTuple):
    """What is looked for in a tar.

    item: what an example is called.
    suffixes: endings of the files that are signals, in lower case.
    measure: `(stream)` returns the length of a signal; ValueError if it is none.
    """

    item: str
    suffixes: frozenset[str]
    measure: Callable[[Source], float]


def scan_tar(tar: str, kind: Kind) -> Corpus:
    """Return the examples of a tar with their lengths, and a sentence for each other sample.

    Raises:
        ValueError: it is no tar, or the texts beside it cannot be read.
        OSError: it cannot be read.
    """
    from tqdm import tqdm

    listed, beside = list_tar(tar), cuts_beside(tar)
    cuts = read_cuts(beside) if beside else None
    samples: dict[str, list[Entry]] = {}
    for entry in listed.entries:
        if META.match(os.path.splitext(entry.name)[0]) is None:
            key = _key(entry.name) if cuts is None else os.path.splitext(os.path.normpath(entry.name))[0]
            samples.setdefault(key, []).append(entry)
    examples, problems = list[Example](), list(listed.problems)
    with open_file(tar) as file:  # once: from an address, large pieces are then fetched one after the other
        content = partial(_content, file)
        for key, entries in tqdm(samples.items(), desc=os.path.basename(tar), disable=None, leave=False):
            try:
                source, length = _signal(tar, content, entries, kind)
                fields = _fields(tar, content, key, entries) if cuts is None else _cut(cuts, key, beside)
                examples.append(_example(source, length, fields))
            except (ValueError, OSError) as error:
                problems.append(f"{error}" if str(error).startswith(tar) else f"{tar}::{key}: {error}")
    return Corpus(examples, problems)


def _content(file: BinaryIO, entry: Entry) -> bytes:
    file.seek(entry.offset)
    return file.read(entry.size)


def texts_beside(tar: str) -> list[str]:
    """Return the files that tell what is in a tar, beside what is in it."""
    beside = cuts_beside(tar)
    return [beside] if beside else []


def _key(name: str) -> str:
    """Return the name of a sample: that of a file up to the first dot after its folder."""
    folder, file = os.path.split(name)
    return os.path.join(folder, file.split(".", 1)[0])


def _signal(tar: str, content: Content, entries: list[Entry], kind: Kind) -> tuple[Member, float]:
    """Return the one signal of a sample, and its length; ValueError if it has none or several."""
    signals = [entry for entry in entries if entry.name.lower().endswith(tuple(kind.suffixes))]
    if len(signals) != 1:
        came = ", ".join(entry.name for entry in signals or entries)
        raise ValueError(f"holds {came}; one file for each {kind.item} was wanted")
    entry = signals[0]
    signal = content(entry)
    source = Member(f"{tar}::{entry.name}", entry.offset, entry.size, digest_of(signal))
    return source, kind.measure(PipeContent(signal, str(source)))


def _fields(tar: str, content: Content, key: str, entries: list[Entry]) -> dict[str, Any]:
    """Return what the files beside a signal say of it."""
    beside = {entry.name[len(key) :].lower(): entry for entry in entries}
    fields: dict[str, Any] = {}
    if (entry := beside.get(".json")) is not None:
        fields = json_object(content(entry), f"{tar}::{entry.name}")
    if _text_key(fields) is None and (texts := [beside[end] for end in TEXT_ENDINGS if end in beside]):
        fields[TEXT_KEYS[0]] = only_line(content(texts[0]), f"{tar}::{texts[0].name}")
    return fields


def _cut(cuts: dict[str, dict[str, Any]], key: str, beside: str) -> dict[str, Any]:
    """Return what lhotse says of a signal."""
    fields = cuts.get(key)
    if fields is None or _text_key(fields) is None:
        raise ValueError(f"has no {'text' if fields else 'line'} in {beside}; write what is said")
    return fields


def _example(source: Member, length: float, fields: dict[str, Any]) -> Example:
    stated = next((fields[name] for name in LENGTH_KEYS if is_length(fields.get(name))), length)
    if abs(stated - length) > STATED_SLACK:
        raise ValueError(
            f"its length is stated as {stated:g} and is {length:.2f}; correct it or leave it out"
        )
    key = _text_key(fields)
    text = None if key is None else text_in(fields, key)
    if text is None:
        raise ValueError(f'has no text; put a "{TEXT_KEYS[0]}" into its .json, or a .txt beside it')
    lines = [line for line in LINE_BREAK.split(text) if line and not line.isspace()]
    if len(lines) > 1:
        raise ValueError(f"has {len(lines)} lines of text, one was wanted; split it")
    return Example(source, lines[0] if lines else "", length, speaker_in(fields))


def _text_key(fields: dict[str, Any]) -> str | None:
    return next((key for key in TEXT_KEYS if isinstance(fields.get(key), str)), None)
