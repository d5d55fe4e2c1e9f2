"""The verb transcribe."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from common.command_line.parser import UsageError
from common.commands.decoding import build_decoder
from common.commands.flags.shared import check_budget, check_threads
from common.commands.flags.transcribe import TranscribeFlags
from common.commands.output import (
    ItemsFailedError,
    Writer,
    check_output,
    name_failure,
    write_document,
)
from common.commands.streaming import check_streams, transcribe_streams
from common.data.signal import Source
from common.files.pipe import content_of, is_pipe, read_pipe
from common.files.source import present
from common.files.standard import STANDARD_INPUT, standard_input
from common.recognition.loading import load_recognizer
from common.recognition.modality import Modality
from common.text.document import Document
from common.text.formats import FORMATS, to_label


def run(modality: Modality, arguments: TranscribeFlags) -> None:
    """Write the text of each file.

    Raises:
        ItemsFailedError: some files could not be transcribed; each has been named.
    """
    _check_transcribe(arguments)
    if arguments.stream:
        check_streams(modality, arguments)
    recognizer = load_recognizer(modality, arguments.model, arguments.device, arguments.threads)
    recognizer.decoder = build_decoder(recognizer.decoder, arguments.decoding, recognizer.task)
    labelled = recognizer.task == "classify"
    if arguments.alternatives and recognizer.task == "frames":
        raise UsageError("--alternatives: a model of --task frames has one label for each step")
    if arguments.alternatives and recognizer.decoder.config.decoder == "greedy" and not labelled:
        raise UsageError("--alternatives: greedy decoding finds one reading; say --decoder beam")
    failures: list[str] = []
    written: set[Path] = set()
    done = 0

    def refuse(sentence: str) -> None:
        name_failure(modality, failures, sentence)

    recognizer.segmentation_config = arguments.segmentation
    formats = _writers(modality, arguments.format, labelled)
    if arguments.stream:
        streams = transcribe_streams(recognizer, arguments.files, arguments.alternatives, refuse)
        documents: Iterator[Document] = map(Document.of, streams)
    else:
        documents = recognizer.documents(
            _sources(modality, arguments.files, arguments.channel, refuse),
            arguments.batch_budget,
            alternatives=arguments.alternatives,
            refuse=refuse,
        )
    for document in documents:
        try:
            write_document(_named(document), formats, arguments.output_dir, written)
            done += 1
        except ValueError as error:
            refuse(str(error))
    if failures:
        total = len(arguments.files) if arguments.stream else len(failures) + done
        raise ItemsFailedError(f"{len(failures)} of {total} {modality.item}s could not be transcribed")


def _writers(modality: Modality, wanted: str, labelled: bool) -> dict[str, Writer]:
    """Return the functions that write documents in the `wanted` format, or in each if that is "all"."""
    known: dict[str, Writer] = dict(FORMATS, txt=to_label) if labelled else dict(FORMATS)
    names = [*known, *modality.formats] if wanted == "all" else [wanted]
    writers = {}
    for name in names:
        if name not in known:
            assert modality.writer is not None, "a modality with formats of its own writes them"
            known[name] = modality.writer(name)
        writers[name] = known[name]
    return writers


def _check_transcribe(arguments: TranscribeFlags) -> None:
    if not arguments.files:
        raise UsageError("no file to transcribe; name one or more, or - for standard input")
    if arguments.alternatives < 0:
        raise UsageError(f"--alternatives is {arguments.alternatives}; give 0 or more")
    if arguments.alternatives and arguments.format not in ("json", "all"):
        raise UsageError(f"--alternatives: {arguments.format} has no place for them; say --format json")
    if arguments.channel is not None:
        if not re.fullmatch("left|right|each|[1-9][0-9]{0,3}", arguments.channel):
            raise UsageError(f"--channel is {arguments.channel!r}; give left, right, each or a number from 1")
        if arguments.stream or "-" in arguments.files:
            raise UsageError("--channel: is for files, not for a stream or standard input; name a file")
    check_budget(arguments.batch_budget)
    check_threads(arguments.threads)
    check_output(arguments.format, arguments.output_dir)


def _named(document: Document) -> Document:
    """Return the document with "-" in its name, or "-[1]" for a page, if it was read from standard input."""
    if not document.source.startswith(STANDARD_INPUT):
        return document
    source = document.source.replace(STANDARD_INPUT, "-", 1)
    passages = tuple(
        dataclasses.replace(passage, transcript=dataclasses.replace(passage.transcript, source=source))
        for passage in document.passages
    )
    return dataclasses.replace(document, source=source, passages=passages)


def _sources(
    modality: Modality, files: Sequence[str], channel: str | None, refuse: Callable[[str], None]
) -> Iterator[Source]:
    """Yield the sources in each file, or those of its wanted channel.

    Args:
        modality: finds the sources.
        files: names; - is standard input.
        channel: "left", "right", a number from 1, or "each"; None for no choice.
        refuse: is called with a sentence for each file that cannot be opened.
    """
    for file in files:
        try:
            for source in modality.expand(_opened(file)):
                if channel is None or modality.channels is None:
                    yield source
                elif isinstance(source, str):
                    yield from modality.channels(source, channel)
                else:
                    raise ValueError(f"{file}: is a pipe, and --channel is for files; write it to a file")
        except (ValueError, OSError) as error:
            refuse(str(error))


def _opened(file: str) -> Source:
    """Return the name of a file, or the content of standard input or of a pipe.

    Raises:
        ValueError: the name is empty, or names a folder or a device.
    """
    if not file:
        raise ValueError("a file has an empty name; name one, or - for standard input")
    if file == "-":
        return read_pipe(standard_input(), STANDARD_INPUT)
    if Path(file).is_dir():
        raise ValueError(f"{file}: is a folder; name the files in it, as in {file.rstrip('/')}/*")
    return content_of(file) if is_pipe(file) else present(file)
