"""The files that verbs write, and the error for items that failed."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from common.command_line.parser import UsageError
from common.files.source import stem
from common.files.standard import ANY_NAME, STANDARD_OUTPUT
from common.recognition.modality import Modality
from common.text.document import Document

Writer = Callable[[Document], str | bytes]
"""returns a document in a format: text, or bytes of a binary format such as PDF"""


class ItemsFailedError(Exception):
    """Some items of the call failed; each has been named, and the others are done."""


def name_failure(modality: Modality, failures: list[str], sentence: str) -> None:
    """Print a sentence about an item that failed to standard error, and add it to `failures`."""
    failures.append(sentence)
    print(f"{modality.name}: {sentence}", file=sys.stderr)


def make_place(path: Path) -> None:
    """Make the folder of a file that is written at the end, so that an error there comes first."""
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; name a file to write")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Name `path` in the error if it cannot be written; Python's own error lacks it once a file is open."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise OSError(f"{path}: cannot be written ({error.strerror or error})") from error


def check_output(format: str, output_dir: Path | None) -> None:
    """Make the folder that transcripts are written into.

    Raises:
        ValueError: a file has the name of the folder, or several formats are wanted without a folder.
    """
    if format == "all" and output_dir is None:
        raise UsageError("--format all writes several files for each input: say where with --output-dir")
    if output_dir is not None:
        if output_dir.is_file():
            raise ValueError(f"{output_dir}: is a file; --output-dir wants a folder")
        with writing(output_dir):
            output_dir.mkdir(parents=True, exist_ok=True)


def write_document(
    document: Document,
    formats: Mapping[str, Writer],
    output_dir: Path | None,
    written: set[Path],
) -> None:
    """Write a document to standard output, or to files that no other input of this call has `written`."""
    for name, write in formats.items():
        content = write(document)
        if output_dir is None:
            with writing(STANDARD_OUTPUT):
                if isinstance(content, str):
                    sys.stdout.write(content)
                else:
                    sys.stdout.buffer.write(content)
                sys.stdout.flush()
            continue
        path = output_dir / f"{stem(document.source)}.{name}"
        if path in written:
            raise ValueError(
                f"{document.source}: {path} already holds the text of another input; use another --output-dir"
            )
        written.add(path)
        with writing(path):
            if isinstance(content, str):
                content = content.encode("utf-8", errors=ANY_NAME)
            path.write_bytes(content)
