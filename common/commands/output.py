"""The files that verbs write, and the error for items that failed."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from common.command_line.parser import UsageError
from common.files.aside import written_aside
from common.files.source import source_file, stem
from common.files.standard import ANY_NAME, STANDARD_OUTPUT
from common.recognition.modality import Book, Modality
from common.text.document import Document

Writer = Callable[[Document], str | bytes]
"""returns a document in a format: text, or the bytes of a binary format"""


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


class DocumentFiles:
    """Writes documents in the formats of a call: to standard output, or to files of their own.

    Args:
        formats: the functions that give the content of a file, by the ending of the file.
        output_dir: the folder of the files; None for standard output.
        books: functions that return the book of a file, by the ending of the book. A book holds all documents
            of one file, and is written once they have come.
        refuse: takes a sentence for each book that cannot be written.

    Attributes:
        left: how many documents are left as an earlier call has written them.
    """

    def __init__(
        self,
        formats: Mapping[str, Writer],
        output_dir: Path | None,
        books: Mapping[str, Callable[[str], Book]] | None = None,
        refuse: Callable[[str], None] | None = None,
    ) -> None:
        self.formats, self.output_dir = formats, output_dir
        self.books, self.refuse = books or {}, refuse
        self._written: set[Path] = set()
        self._folders: dict[str, Path] = {}
        self._open: dict[str, dict[str, Book]] = {}
        self.left = 0

    def expect(self, source: str, folder: Path = Path()) -> None:
        """Note that the document of a source will come; sources are named in the order of their documents.

        Args:
            source: its name.
            folder: where its files are written, below `output_dir`.

        Raises:
            ValueError: no book can be made of the file.
        """
        file = source_file(source)
        self._folders[file] = folder
        for name, make in self.books.items():
            books = self._open.setdefault(file, {})
            if name not in books:
                books[name] = make(file)
            books[name].expect(source)

    def leave(self, source: str, folder: Path = Path()) -> bool:
        """Return whether an earlier call has written the document of a source, in all formats; it then stays.

        Raises:
            ValueError: the files that are there are those of another source of this call.
        """
        file = source_file(source)
        self._folders[file] = folder
        own = [self._place(source, stem(source), name) for name in self.formats]
        books = [self._place(file, Path(file).stem, name) for name in self.books]
        if not all(path is not None and path.is_file() for path in own + books):
            return False
        for name in self.formats:
            self._path(source, stem(source), name)
        self.left += 1
        return True

    def write(self, document: Document) -> None:
        """Write a document, and the books of the files before its own.

        Raises:
            ValueError: another document of this call has been written to the same file.
        """
        file = source_file(document.source)
        while file in self._open and (first := next(iter(self._open))) != file:
            self._close(first)
        for book in self._open.get(file, {}).values():
            book.add(document)
        for name, write in self.formats.items():
            content = write(document)
            path = self._path(document.source, stem(document.source), name)
            if path is None:
                _print(content)
            else:
                with writing(path), written_aside(path, sync=False) as aside:
                    aside.write(_encoded(content))

    def close(self) -> None:
        """Write the books of the last files."""
        for file in list(self._open):
            self._close(file)

    def _close(self, file: str) -> None:
        """Write the books of a file whose documents have all come."""
        for name, book in self._open.pop(file).items():
            try:
                path = self._path(file, Path(file).stem, name)
                if path is None:
                    with TemporaryDirectory() as folder:
                        book.write(Path(folder) / "book")
                        _print((Path(folder) / "book").read_bytes())
                else:
                    with writing(path):
                        book.write(path)
            except ValueError as error:
                if self.refuse is None:
                    raise
                self.refuse(str(error))

    def _path(self, source: str, name: str, ending: str) -> Path | None:
        """Return the path of a new file in the output folder, or None for standard output.

        Raises:
            ValueError: another input of this call has been written to it.
        """
        path = self._place(source, name, ending)
        if path is None:
            return None
        if path in self._written:
            raise ValueError(
                f"{source}: {path} already holds the text of another input; use another --output-dir"
            )
        self._written.add(path)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _place(self, source: str, name: str, ending: str) -> Path | None:
        if self.output_dir is None:
            return None
        return self.output_dir / self._folders.get(source_file(source), Path()) / f"{name}.{ending}"


def _print(content: str | bytes) -> None:
    with writing(STANDARD_OUTPUT):
        if isinstance(content, str):
            sys.stdout.write(content)
        else:
            sys.stdout.buffer.write(content)
        sys.stdout.flush()


def _encoded(content: str | bytes) -> bytes:
    return content.encode("utf-8", errors=ANY_NAME) if isinstance(content, str) else content
