"""The verb align."""

from tqdm import tqdm

from common.command_line.parser import UsageError
from common.commands.flags.align import AlignFlags
from common.commands.flags.shared import check_budget, check_threads
from common.commands.output import DocumentFiles, ItemsFailedError, check_output, name_failure
from common.files.plain_text import read_lines
from common.recognition.loading import load_recognizer
from common.recognition.modality import Modality
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
    recognizer = load_recognizer(modality, arguments.model, arguments.device, arguments.threads)
    pairs, failures = _pairs(modality, arguments)
    sources, texts = zip(*pairs, strict=True) if pairs else ((), ())

    def refuse(sentence: str) -> None:
        name_failure(modality, failures, sentence)

    names = ALL_FORMATS if arguments.format == "all" else (arguments.format,)
    formats = {name: FORMATS[name] for name in names}
    hidden = None if arguments.output_dir else True  # None: the bar is shown on a terminal
    transcripts = recognizer.align(sources, texts, arguments.batch_budget, refuse=refuse)
    files, done = DocumentFiles(formats, arguments.output_dir), 0
    for transcript in tqdm(transcripts, total=len(pairs), unit=f" {modality.item}s", disable=hidden):
        try:
            files.write(Document.of(transcript))
            done += 1
        except ValueError as error:
            refuse(str(error))
    if failures:
        total = len(failures) + done
        raise ItemsFailedError(f"{len(failures)} of {total} {modality.item}s could not be aligned")


def _pairs(modality: Modality, arguments: AlignFlags) -> tuple[list[tuple[str, str]], list[str]]:
    """Return sources with their texts, and a sentence for each that cannot be used, which is logged here."""
    if arguments.text is not None and arguments.text_file is not None:
        raise UsageError("--text and --text-file were both given; give one of them")
    if arguments.text is not None:
        return [(arguments.data, arguments.text)], []
    if arguments.text_file is not None:
        return [(arguments.data, " ".join(read_lines(arguments.text_file)))], []
    found, problems = load_examples(modality, arguments.data, arguments.corpus)
    examples, textless = with_text(found, modality.item)
    problems += textless
    report_problems(problems)
    return [(example.source, example.text or "") for example in examples], problems
