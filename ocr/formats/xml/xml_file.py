"""XML files, read without any reach beyond the file, and the notices about what is wrong in them."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

SHOWN_NAMES = 3
"""number of elements that a notice names; the others are counted"""
LARGEST_BYTES = 256 * 1024 * 1024
INVALID = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""characters that XML 1.0 cannot hold"""


class Notices:
    """What is wrong in a file that is used all the same, or used in part: one sentence for each kind."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._names: dict[str, list[str]] = defaultdict(list)

    def add(self, what: str, name: str = "") -> None:
        """Note that `what` is true of the element of this name, or of the whole file."""
        self._names[what].append(name)

    def __iter__(self) -> Iterator[str]:
        for what, names in self._names.items():
            named = [name for name in dict.fromkeys(names) if name]
            shown = ", ".join(named[:SHOWN_NAMES])
            more = f" and {len(named) - SHOWN_NAMES} more" if len(named) > SHOWN_NAMES else ""
            yield f"{self.file}: {what}{': ' if named else ''}{shown}{more}"


def parse_xml(path: str | Path) -> Element:
    """Return the root of an XML file; the prefixes of its tags and attributes are removed.

    A document type is refused: its entities can name other files, or grow without limit.

    Raises:
        ValueError: the file cannot be read, is not well-formed XML, or declares a document type.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); name an XML file") from error
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"{path}: has {len(content):,} bytes; XML of one page, at most {LARGEST_BYTES:,}")
    builder, parser = TreeBuilder(), expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        builder.start(_local(tag), {_local(name): value for name, value in attributes.items()})

    def refuse(*_: Any) -> None:
        raise ValueError(
            f"{path}: declares a document type (<!DOCTYPE>), whose entities can name other files or grow"
            " without limit; remove the declaration"
        )

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: builder.end(_local(tag))
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(f"{path}: is not well-formed XML ({error}); mend the file") from error
    return builder.close()


def _local(name: str) -> str:
    return name.rpartition(":")[2]


class Names:
    """Gives each element a name of its own: its id, or a new one where that is missing or taken."""

    def __init__(self, notices: Notices) -> None:
        self._taken: set[str] = set()
        self._notices = notices

    def name(self, identity: str | None, kind: str) -> str:
        """Return the name of an element of a `kind`, such as "line"."""
        if identity and identity in self._taken:
            self._notices.add("ids stand more than once, the later ones got a number", identity)
        name, number = identity or f"{kind}_{len(self._taken) + 1}", 1
        while name in self._taken:
            number += 1
            name = f"{identity or kind}-{number}"
        self._taken.add(name)
        return name


def number_of(text: str | None) -> float | None:
    """Return the finite number that `text` is, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None


def confidence_of(text: str | None) -> float:
    """Return a confidence from 0 to 1, and 1 where none is written: transcribers do not doubt."""
    value = number_of(text)
    return 1.0 if value is None else min(max(value, 0.0), 1.0)


def one_line(text: str) -> str:
    """Return a text without the line breaks, and the indentation after them, that come from its file."""
    return re.sub(r"[ \t]*[\r\n]+[ \t]*", " ", text.strip("\r\n\t")) if "\n" in text or "\r" in text else text
