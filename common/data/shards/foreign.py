"""Tars that other programs have written, read through once.

webdataset    KEY.flac KEY.json KEY.txt     a sample is what has one name up to its first dot; its text is
                                            that of the JSON, or the one line of the TXT
lhotse Shar   recording.000000.tar          ID.flac ID.json, and the texts in cuts.000000.jsonl.gz beside
"""

import gzip
import json
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from common.data.lengths import STATED_SLACK
from common.data.manifest import Corpus, Example, is_length
from common.data.signal import Source
from common.files.pipe import PipeContent
from common.files.plain_text import only_line
from common.files.tars.address import exists, open_file, read_span
from common.files.tars.listing import Entry, list_tar
from common.files.tars.member import Member, digest_of

TEXT_KEYS = ("text", "transcript", "transcription", "sentence")
LENGTH_KEYS = ("length", "duration")
SHAR = re.compile(r"(.*?)([^/]+)(\.[0-9]+)\.tar", re.DOTALL)
"""a tar of lhotse: recording.000000.tar"""


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

    listed = list_tar(tar)
    texts = _texts_beside(tar)
    samples: dict[str, list[Entry]] = {}
    for entry in listed.entries:
        key = os.path.splitext(entry.name)[0] if texts is not None else _key(entry.name)
        samples.setdefault(key, []).append(entry)
    examples, problems = list[Example](), list(listed.problems)
    for key, entries in tqdm(samples.items(), desc=os.path.basename(tar), disable=None, leave=False):
        try:
            examples.append(_example(tar, key, entries, texts, kind))
        except (ValueError, OSError) as error:
            problems.append(f"{error}" if str(error).startswith(tar) else f"{tar}::{key}: {error}")
    return Corpus(examples, problems)


def _key(name: str) -> str:
    """Return the name of a sample: that of a file up to the first dot after its folder."""
    folder, file = os.path.split(name)
    return os.path.join(folder, file.split(".", 1)[0])


def _example(tar: str, key: str, entries: list[Entry], texts: dict[str, Any] | None, kind: Kind) -> Example:
    """Return the example that a sample is; ValueError if it is none."""
    signals = [entry for entry in entries if entry.name.lower().endswith(tuple(kind.suffixes))]
    if len(signals) != 1:
        came = ", ".join(entry.name for entry in signals or entries)
        raise ValueError(f"holds {came}; one file for each {kind.item} was wanted")
    entry = signals[0]
    content = read_span(tar, entry.offset, entry.size)
    source = Member(f"{tar}::{entry.name}", entry.offset, entry.size, digest_of(content))
    length = kind.measure(PipeContent(content, str(source)))
    beside = {one.name[len(key) :].lower(): one for one in entries if one is not entry}
    fields = _fields(tar, beside) if texts is None else texts.get(key)
    if fields is None:
        raise ValueError(f"has no line in {_beside(tar)}; write what is said")
    stated = next((fields[name] for name in LENGTH_KEYS if is_length(fields.get(name))), length)
    if abs(stated - length) > STATED_SLACK:
        raise ValueError(
            f"its length is stated as {stated:g} and is {length:.2f}; correct it or leave it out"
        )
    text = next((fields[name] for name in TEXT_KEYS if isinstance(fields.get(name), str)), None)
    if text is None:
        raise ValueError(f'has no text; put a "{TEXT_KEYS[0]}" into its .json, or a .txt beside it')
    speaker = fields.get("speaker")
    return Example(source, text, length, speaker if isinstance(speaker, str) else "")


def _fields(tar: str, beside: dict[str, Entry]) -> dict[str, Any]:
    """Return what the files beside a signal say of it."""
    fields: dict[str, Any] = {}
    for ending, entry in beside.items():
        if ending not in (".json", ".txt", ".gt.txt"):
            continue
        content, name = read_span(tar, entry.offset, entry.size), f"{tar}::{entry.name}"
        if ending == ".json":
            fields.update(_object(content, name))
        else:
            fields.setdefault(TEXT_KEYS[0], only_line(content, name))
    return fields


def _object(content: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{name}: is no JSON object; correct it")
    return found


def _beside(tar: str) -> str:
    """Return where lhotse keeps the texts of a tar; "" if the tar has no name of lhotse's."""
    found = SHAR.fullmatch(tar)
    return f"{found[1]}cuts{found[3]}.jsonl.gz" if found else ""


def _texts_beside(tar: str) -> dict[str, Any] | None:
    """Return text, speaker and length of each cut of a tar of lhotse; None if it is no such tar.

    Raises:
        ValueError: they cannot be read.
    """
    path = _beside(tar)
    if not path or not exists(path):
        return None
    cuts: dict[str, Any] = {}
    try:
        with open_file(path) as file, gzip.open(file) as lines:
            for number, line in enumerate(lines, 1):
                cut = _object(line, f"{path}:{number}")
                spoken = cut.get("supervisions") or []
                texts = [one["text"] for one in spoken if isinstance(one.get("text"), str)]
                fields = {"duration": cut.get("duration")}
                if texts:
                    fields["text"] = " ".join(texts)
                    fields["speaker"] = spoken[0].get("speaker")
                cuts[str(cut.get("id"))] = fields
    except (OSError, EOFError, AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: cannot be read as cuts of lhotse ({error}); write it again") from error
    return cuts
