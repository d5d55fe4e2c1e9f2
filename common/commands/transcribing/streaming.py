"""The flag --stream: a recording is transcribed while it arrives, and its text is shown while it grows."""

import math
import os
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BufferedReader, FileIO
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

from common.command_line.parser import UsageError
from common.commands.flags.transcribe import TranscribeFlags
from common.files.standard import STANDARD_INPUT, standard_input
from common.text.document import Document, Passage

if TYPE_CHECKING:
    from common.recognition.streams.transcription import Partial, Stream

ENDING = (signal.SIGINT, signal.SIGTERM)
"""signals that end a stream: that of Ctrl-C, and the one with which systems stop a service"""
COLUMNS = 80
"""width that is assumed for a terminal that does not give its own"""


def check_streams(arguments: TranscribeFlags) -> None:
    """Raise UsageError for flags that do not go with --stream, or only with it."""
    silence_s = arguments.endpoint_silence_s
    if arguments.stream and arguments.batch_budget is not None:
        raise UsageError("--batch-budget: a stream is in no batch; leave the flag out")
    if not 0 <= silence_s < math.inf:
        raise UsageError(f"--endpoint-silence-s is {silence_s:g}; give 0 or more seconds")


def transcribe_streams(
    recognizer: Any, arguments: TranscribeFlags, refuse: Callable[[str], None]
) -> Iterator[Document]:
    """Yield the document of each stream after its end, with a passage for each utterance.

    Text on standard output is a document for each utterance, as soon as that has ended. An interrupt ends
    this stream and skips the rest.

    Args:
        recognizer: a `Recognizer` or an `OnnxRecognizer`.
        arguments: the flags; its files are names, of which - is standard input.
        refuse: is called with a sentence for each stream that cannot be read to its end. The part before
            that is transcribed all the same.

    Raises:
        ValueError: the recognizer cannot follow a stream.
        KeyboardInterrupt: an interrupt before anything has arrived.
    """
    from common.recognition.streams.transcription import Stream
    from common.recognition.streams.utterance import EndpointConfig

    endpoints = EndpointConfig(arguments.endpoint_silence_s)
    at_once = arguments.format == "txt" and arguments.output_dir is None
    for file in arguments.files:
        name = STANDARD_INPUT if file == "-" else file
        stream = Stream(recognizer, name, endpoints=endpoints, alternatives=arguments.alternatives)
        kept = list[Passage]()
        with _opened(file, refuse) as incoming:
            if incoming is None:
                continue
            for passage in _follow(stream, incoming, arguments.raw):
                if at_once:
                    yield Document(name, (passage,), recognizer.modality.unit)
                else:
                    kept.append(passage)
        if incoming.interrupted and not stream.received:
            raise KeyboardInterrupt
        failure = None if incoming.interrupted else incoming.failure
        kept += stream.finish() if stream.received else ()
        if stream.received and (failure is None or any(one.transcript.text for one in kept)):
            yield Document(name, tuple(kept), recognizer.modality.unit)
        if failure is not None:
            refuse(failure)
        if incoming.interrupted:
            return


def _follow(stream: "Stream", incoming: "Incoming", raw: str | None) -> Iterator[Passage]:
    """Feed the pieces that arrive to a stream, show the text as it grows, and yield the utterances."""
    recognizer = stream.recognizer
    display = Display(sys.stderr, any(map(str.isspace, "".join(recognizer.alphabet.symbols))))
    assert recognizer.modality.stream is not None, "the flag is for modalities with streams"
    pieces: Any = incoming
    if raw is not None and recognizer.modality.raw is not None:
        pieces = recognizer.modality.raw(incoming, raw)
    try:
        for piece in recognizer.modality.stream(pieces, recognizer.signal_config):
            partial = stream.feed(piece.values)
            if partial.passages:
                display.clear()
                yield from partial.passages
            display.show(partial)
    except ValueError as error:
        incoming.failure = str(error)
    except OSError as error:
        incoming.failure = f"{incoming.name}: {error.strerror}"
    finally:
        display.clear()


@contextmanager
def _opened(file: str, refuse: Callable[[str], None]) -> Iterator["Incoming | None"]:
    """Open a file that an interrupt ends, as long as the context lasts; None if it cannot be opened."""
    try:
        raw = standard_input() if file == "-" else BufferedReader(FileIO(file))
    except OSError as error:
        refuse(f"{file}: {error.strerror}")
        yield None
        return
    incoming = Incoming(raw, STANDARD_INPUT if file == "-" else file)
    before = {number: signal.signal(number, incoming.interrupt) for number in ENDING}
    try:
        yield incoming
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if file != "-":
            raw.close()


class Incoming(BufferedIOBase):
    """Bytes that arrive over time, until they end or an interrupt ends them.

    An interrupt lets the current computation finish; a second one stops it.

    Attributes:
        name: name of the source.
        interrupted: whether there was an interrupt.
        failure: a sentence about what made the rest unreadable, if anything did.
    """

    def __init__(self, raw: Any, name: str) -> None:
        self._raw, self.name = raw, name
        self.interrupted = self._waiting = False
        self.failure: str | None = None

    def read1(self, size: int = -1, /) -> bytes:
        """Wait for bytes and return them, at most `size`; return b"" at the end."""
        if self.interrupted:
            return b""
        try:
            self._waiting = True
            return self._raw.read1(size)
        except KeyboardInterrupt:
            return b""
        finally:
            self._waiting = False

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Handle SIGINT and SIGTERM."""
        again, self.interrupted = self.interrupted, True
        if again or self._waiting:
            raise KeyboardInterrupt


class Display:
    """Shows the text so far: on a terminal as one line that is rewritten, elsewhere the final words only.

    Args:
        file: the output, standard error.
        words: whether spaces separate words.
    """

    def __init__(self, file: TextIO, words: bool) -> None:
        self._file, self._words = file, words
        self._shown, self._line = 0, ""
        self._rewrites = file.isatty()

    def show(self, partial: "Partial") -> None:
        """Show the new part of the text at once."""
        if self._rewrites:
            self._rewrite(partial.text)
            return
        new = partial.settled[self._shown :]
        while self._words and new and not new[-1].isspace():  # the last word may be incomplete
            new = new[:-1]
        if new.strip():
            print(new.strip(), file=self._file, flush=True)
            self._shown += len(new)

    def clear(self) -> None:
        """Clear the line of the terminal, and begin a new text."""
        self._shown = 0
        if self._line:
            self._rewrite("")

    def _rewrite(self, text: str) -> None:
        try:
            columns = os.get_terminal_size(self._file.fileno()).columns or COLUMNS
        except OSError:
            columns = COLUMNS
        line = _tail(text, columns - 1)  # in the last column the cursor would go to the next line
        if line != self._line:
            blank = " " * (_width(self._line) - _width(line))
            self._file.write(f"\r{line}{blank}" if line else f"\r{blank}\r")
            self._file.flush()
            self._line = line


def _tail(text: str, columns: int) -> str:
    """Return the end of a text that fits into this many columns."""
    text = text[-max(columns, 1) :]
    while text and _width(text) > columns:
        text = text[1:]
    return text


def _width(text: str) -> int:
    """Return the number of columns that a text takes on a terminal."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)
