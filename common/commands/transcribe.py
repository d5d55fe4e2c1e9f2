"""The verb transcribe."""

import dataclasses
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from common.command_line.counting import counted
from common.command_line.parser import UsageError
from common.commands.decoding import model_for, set_decoder
from common.commands.flags.shared import check_budget, check_threads
from common.commands.flags.transcribe import JSON_LINES, TranscribeFlags
from common.commands.output import DocumentFiles, ItemsFailedError, Writer, check_output, name_failure
from common.commands.progress import Progress
from common.commands.transcribing.bulk import check_bulk, run_bulk, wanted_names
from common.commands.transcribing.streaming import check_streams, transcribe_streams
from common.data.signal import Source
from common.files.standard import STANDARD_INPUT
from common.recognition.modality import Book, Modality
from common.recognition.passages.journal import Journal
from common.recognition.reading import name_of
from common.recognition.sources import Parts, find_sources
from common.recognition.transcriber import Transcriber
from common.recognition.voting.loading import load_models, model_paths
from common.text.document import Document, Passage
from common.text.formats import FORMATS, to_label


def run(modality: Modality, arguments: TranscribeFlags) -> None:
    """Write the text of each file.

    Raises:
        ItemsFailedError: some files could not be transcribed; each has been named.
    """
    _check_transcribe(arguments)
    _check_raw(modality, arguments)
    check_streams(arguments)
    model = model_for(modality, arguments.model, arguments.decoding)
    arguments = dataclasses.replace(arguments, model=model)
    _check_models(modality, arguments)
    recognizer = load_models(modality, arguments.model, arguments.device, arguments.threads)
    set_decoder(recognizer, arguments.decoding)
    if arguments.alternatives:
        _check_alternatives(recognizer)
    failures, unwritten = list[str](), list[str]()

    def refuse(sentence: str) -> None:
        name_failure(modality, failures, sentence)

    recognizer.segmentation_config = arguments.segmentation
    if arguments.format == JSON_LINES:
        run_bulk(modality, arguments, recognizer, _settings(modality, arguments))
        return
    files = _document_files(
        modality, arguments, recognizer, lambda sentence: name_failure(modality, unwritten, sentence)
    )
    journal = Journal(arguments.output_dir, _settings(modality, arguments), arguments.resume)
    progress = Progress(modality, None if arguments.stream else arguments.output_dir)
    if arguments.stream:
        documents: Iterator[Document] = transcribe_streams(recognizer, arguments, refuse)
    else:
        sources = _sources(modality, arguments, files, journal, progress, refuse)
        documents = _documents(recognizer, arguments, sources, journal, progress, refuse)
    done = 0
    for document in documents:
        try:
            files.write(_named(document))
            if document.complete:
                journal.complete(document.source)
                done += 1
        except ValueError as error:
            refuse(str(error))
    progress.close()
    files.close()
    journal.finish()
    if files.left:
        print(
            f"{modality.name}: {counted(files.left, modality.source)} left as written by an earlier call",
            file=sys.stderr,
        )
    total = len(arguments.files) if arguments.stream else len(failures) + done
    if failures:
        raise ItemsFailedError(f"{len(failures)} of {total} {modality.source}s could not be transcribed")
    _check_written(unwritten)


def _documents(
    recognizer: Transcriber,
    arguments: TranscribeFlags,
    sources: Iterator[Source],
    journal: Journal,
    progress: Progress,
    refuse: Callable[[str], None],
) -> Iterator[Document]:
    """Yield the document of each source; as text on standard output, one for each passage, at once."""
    kept = list[Passage]()
    at_once = arguments.format == "txt" and arguments.output_dir is None
    arrivals = recognizer.passages(
        sources,
        arguments.batch_budget,
        alternatives=arguments.alternatives,
        refuse=refuse,
        done=journal.count,
    )
    first = True
    for one in arrivals:
        if first:
            kept = journal.known(one.source)
        first = one.last
        if one.passage is not None:
            kept.append(one.passage)
            journal.add(one.source, one.passage)
        progress.arrive(one.source, one.passage, one.last)
        if one.last or at_once:
            yield recognizer.document(one, kept)
            kept = []


def _settings(modality: Modality, arguments: TranscribeFlags) -> tuple[Any, ...]:
    """Return what a text depends on beside its source."""
    models = list[Any]()
    for path in model_paths(modality, arguments.model):
        status = path.stat()
        models += [str(path.resolve()), status.st_size, status.st_mtime_ns]
    return (*models, arguments.decoding, arguments.segmentation, arguments.alternatives)


def _check_written(unwritten: Sequence[str]) -> None:
    """Raise ItemsFailedError if there are files that could not be written; each has been named."""
    if unwritten:
        raise ItemsFailedError(f"{counted(len(unwritten), 'file')} could not be written")


def _document_files(
    modality: Modality,
    arguments: TranscribeFlags,
    recognizer: Transcriber,
    refuse: Callable[[str], None],
) -> DocumentFiles:
    """Return what writes the documents of a call."""
    known: dict[str, Writer] = dict(FORMATS)
    if recognizer.task == "classify":
        known["txt"] = to_label
    phrases = [word if isinstance(word, str) else word.text for word in recognizer.decoder.hot_words]
    names = [*known, *modality.formats] if arguments.format == "all" else [arguments.format]
    writers, books = dict[str, Writer](), dict[str, Callable[[str], Book]]()
    for name in names:
        if name in known:
            writers[name] = known[name]
        elif name in modality.book_formats:
            assert modality.book is not None, "a modality with books makes them"
            books[name] = partial(modality.book, name)
        else:
            assert modality.writer is not None, "a modality with formats of its own writes them"
            write = modality.writer(name, arguments.format_settings, phrases)
            writers[modality.endings.get(name, name)] = write
    return DocumentFiles(writers, arguments.output_dir, books, refuse)


def _sources(
    modality: Modality,
    arguments: TranscribeFlags,
    files: DocumentFiles,
    journal: Journal,
    progress: Progress,
    refuse: Callable[[str], None],
) -> Iterator[Source]:
    """Yield the sources of a call, each after `files` and the progress bar know that it will come."""
    parts = Parts(arguments.channel, arguments.audio_track, arguments.raw)
    for found in find_sources(
        modality, wanted_names(modality, arguments, refuse), parts, arguments.recursive, refuse
    ):
        wanted = list[Source]()
        try:
            for source in found.sources:
                name = _shown(name_of(source))
                written = arguments.resume and not journal.is_unfinished(name)
                if not (written and files.leave(name, found.folder)):
                    files.expect(name, found.folder)
                    wanted.append(source)
        except ValueError as error:
            refuse(str(error))
            continue
        for source in wanted:
            progress.expect(source)
        yield from wanted


def _check_transcribe(arguments: TranscribeFlags) -> None:
    if not arguments.files and arguments.list is None:
        raise UsageError("no file to transcribe; name one or more, or - for standard input")
    if arguments.alternatives < 0:
        raise UsageError(f"--alternatives is {arguments.alternatives}; give 0 or more")
    if arguments.alternatives and arguments.format not in ("json", JSON_LINES, "all"):
        raise UsageError(f"--alternatives: {arguments.format} has no place for them; say --format json")
    _check_parts(arguments)
    check_bulk(arguments)
    if arguments.resume and (arguments.output_dir is None or arguments.stream):
        raise UsageError("--resume: is for files in --output-dir; say which folder that is")
    check_budget(arguments.batch_budget)
    check_threads(arguments.threads)
    check_output(arguments.format, arguments.output_dir)


def _check_raw(modality: Modality, arguments: TranscribeFlags) -> None:
    """Raise UsageError for raw values of an unknown form."""
    if arguments.raw is not None and modality.raw is not None:
        try:
            modality.raw("", arguments.raw)
        except ValueError as error:
            raise UsageError(f"--raw is {error}") from None


def _check_models(modality: Modality, arguments: TranscribeFlags) -> None:
    """Raise UsageError for several models where only one can read."""
    if arguments.stream and len(model_paths(modality, arguments.model)) > 1:
        raise UsageError("--stream: one model follows it, several cannot vote; name one with --model")


def _check_parts(arguments: TranscribeFlags) -> None:
    """Raise UsageError for a channel or track that does not go with the other flags."""
    if arguments.channel is not None:
        if not re.fullmatch("left|right|each|[1-9][0-9]{0,3}", arguments.channel):
            raise UsageError(f"--channel is {arguments.channel!r}; give left, right, each or a number from 1")
        if arguments.stream or "-" in arguments.files:
            raise UsageError("--channel: is for files, not for a stream or standard input; name a file")
    if arguments.audio_track is not None:
        if arguments.audio_track < 1:
            raise UsageError(f"--audio-track is {arguments.audio_track}; give a number from 1")
        if arguments.stream or "-" in arguments.files:
            raise UsageError("--audio-track: is for files, not for a stream or standard input; name a file")


def _check_alternatives(recognizer: Transcriber) -> None:
    """Raise UsageError if a model, or how it is decoded, gives one reading only."""
    if recognizer.task == "frames":
        raise UsageError("--alternatives: a model of --task frames has one label for each step")
    if recognizer.decoder.config.decoder == "greedy" and recognizer.task != "classify":
        raise UsageError("--alternatives: greedy decoding finds one reading; say --decoder beam")


def _named(document: Document) -> Document:
    """Return the document with "-" in its name, or "-[1]" for a page, if it was read from standard input."""
    source = _shown(document.source)
    if source == document.source:
        return document
    passages = tuple(
        dataclasses.replace(passage, transcript=dataclasses.replace(passage.transcript, source=source))
        for passage in document.passages
    )
    return dataclasses.replace(document, source=source, passages=passages)


def _shown(source: str) -> str:
    return source.replace(STANDARD_INPUT, "-", 1) if source.startswith(STANDARD_INPUT) else source
