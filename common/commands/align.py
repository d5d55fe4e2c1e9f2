"""The verb align."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tqdm import tqdm

from common.command_line.parser import UsageError
from common.commands.flags.align import AlignFlags
from common.commands.flags.shared import check_budget, check_threads
from common.commands.output import DocumentFiles, ItemsFailedError, Writer, check_output, name_failure
from common.files.plain_text import read_lines
from common.recognition.known_text.aligner import Aligner
from common.recognition.loading import load_recognizer
from common.recognition.modality import Modality
from common.recognition.transcriber import Transcriber
from common.text.document import Document
from common.text.formats import FORMATS
from common.training.preparation import load_examples, report_problems, with_text

ALL_FORMATS = ("json", "tsv", "ctm")


def run(modality: Modality, arguments: AlignFlags) -> None:
    """Write where each word is.

    Raises:
        ItemsFailedError: some examples could not be aligned; each has been named.
    """
    check_budget(arguments.batch_budget)
    check_threads(arguments.threads)
    check_output(arguments.format, arguments.output_dir)
    if arguments.data is None:  # the only word is the data
        arguments = replace(arguments, model="", data=arguments.model)
    model = arguments.model or (modality.spelling and str(modality.model_file(modality.spelling))) or None
    recognizer = load_recognizer(modality, model, arguments.device, arguments.threads)
    if not modality.on_paper:
        recognizer.segmentation_config = arguments.segmentation
    pairs, failures = _pairs(modality, arguments)

    def refuse(sentence: str) -> None:
        name_failure(modality, failures, sentence)

    hidden = None if arguments.output_dir else True  # None: the bar is shown on a terminal
    documents = _documents(modality, arguments, recognizer, pairs, refuse)
    files, done = DocumentFiles(_writers(modality, arguments), arguments.output_dir), 0
    for document in tqdm(documents, total=len(pairs), unit=f" {modality.item}s", disable=hidden):
        try:
            files.write(document)
            done += 1
        except ValueError as error:
            refuse(str(error))
    if failures:
        total = len(failures) + done
        raise ItemsFailedError(f"{len(failures)} of {total} {modality.item}s could not be aligned")


def _documents(
    modality: Modality,
    arguments: AlignFlags,
    recognizer: Transcriber,
    pairs: Sequence[tuple[str, str]],
    refuse: Callable[[str], None],
) -> Iterator[Document]:
    """Yield the documents of examples, or of one file, and say what the file and its text do not share."""
    aligner, (sources, texts) = Aligner(recognizer), zip(*pairs, strict=True) if pairs else ((), ())
    if arguments.text is None and arguments.text_file is None:
        found = aligner.align(sources, texts, arguments.batch_budget, refuse=refuse)
        yield from map(Document.of, found)
        return
    for aligned in aligner.align_recordings(sources, texts, arguments.batch_budget, refuse=refuse):
        for sentence in aligned.left_out.sentences():
            print(f"{modality.name}: {aligned.document.source}: {sentence}", file=sys.stderr)
        yield aligned.document


def _writers(modality: Modality, arguments: AlignFlags) -> dict[str, Writer]:
    """Return the functions that write the formats of a call, by the ending of their files."""
    writers: dict[str, Writer] = {name: FORMATS[name] for name in ALL_FORMATS}
    for name in modality.timed_formats:
        assert modality.writer is not None, "a modality with formats of its own writes them"
        write = modality.writer(name, arguments.format_settings, ())
        writers[modality.endings.get(name, name)] = write
    wanted = modality.endings.get(arguments.format, arguments.format)
    return writers if wanted == "all" else {wanted: writers[wanted]}


def _pairs(modality: Modality, arguments: AlignFlags) -> tuple[list[tuple[str, str]], list[str]]:
    """Return sources with their texts, and a sentence for each that cannot be used, which is logged here."""
    if arguments.text is not None and arguments.text_file is not None:
        raise UsageError("--text and --text-file were both given; give one of them")
    assert arguments.data is not None, "it is one of the words"
    if arguments.text is not None:
        return [(arguments.data, arguments.text)], []
    if arguments.text_file is not None:
        return [(arguments.data, "\n".join(read_lines(arguments.text_file)))], []
    found, problems = load_examples(modality, arguments.data, arguments.corpus)
    examples, textless = with_text(found, modality.item)
    problems += textless
    report_problems(problems)
    return [(example.source, example.text or "") for example in examples], problems
