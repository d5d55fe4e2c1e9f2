"""The verb align."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tqdm import tqdm
from tyro.conf import Positional

from common.commands.flags import budget, check_budget, flat
from common.commands.output import ItemsFailedError, check_output, name_failure, write_document
from common.files.plain_text import read_lines
from common.recognition.loading import Device, load_recognizer
from common.recognition.modality import Modality
from common.text.document import Document
from common.text.formats import FORMATS
from common.training.preparation import load_examples, report_problems, with_text

ALL_FORMATS = ("json", "tsv", "ctm")


def arguments(modality: Modality) -> type:
    """Return the dataclass whose fields are the flags."""

    @dataclass(frozen=True)
    class Align:
        """Where each word and character of known texts is: transcribed examples, or one file and its text."""

        model: Positional[Path]
        """Model file."""
        data: Positional[str]
        """A folder or manifest, or several with commas between; with --text or --text-file, one file."""
        text: str | None = None
        """What that file says."""
        text_file: Path | None = None
        """UTF-8 file with what that file says; its lines are taken together."""
        format: Annotated[Literal["json", "tsv", "ctm", "all"], tyro.conf.arg(aliases=["-f"])] = "json"
        """json: words and characters with positions and confidences, a line each input; tsv: a word a row;
        ctm: NIST's rows of words, with source, start and duration."""
        output_dir: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
        """Write STEM.FORMAT there, one file for each input, instead of to standard output."""
        batch_budget: budget(modality) = None  # type: ignore[valid-type]
        device: Device = "auto"
        """Where to compute."""
        threads: int = 0
        """Threads that compute the network; 0: one for each core."""
        corpus: flat(modality.corpus_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=modality.corpus_config
        )

    return Align


def run(modality: Modality, arguments: Any) -> None:
    """Write where each word is; raise ItemsFailedError if some examples could not be aligned."""
    check_budget(arguments.batch_budget)
    check_output(arguments.format, arguments.output_dir)
    recognizer = load_recognizer(modality, arguments.model, arguments.device, arguments.threads)
    pairs, failures = _pairs(modality, arguments)
    sources, texts = zip(*pairs, strict=True) if pairs else ((), ())

    def refuse(sentence: str) -> None:
        name_failure(modality, failures, sentence)

    names = ALL_FORMATS if arguments.format == "all" else (arguments.format,)
    formats = {name: FORMATS[name] for name in names}
    hidden = None if arguments.output_dir else True  # None: shown on a terminal
    transcripts: Iterator[Any] = recognizer.align(sources, texts, arguments.batch_budget, refuse=refuse)
    written: set[Path] = set()
    done = 0
    for transcript in tqdm(transcripts, total=len(pairs), unit=f" {modality.item}s", disable=hidden):
        try:
            write_document(Document.of(transcript), formats, arguments.output_dir, written)
            done += 1
        except ValueError as error:
            refuse(str(error))
    if failures:
        total = len(failures) + done
        raise ItemsFailedError(f"{len(failures)} of {total} {modality.item}s could not be aligned")


def _pairs(modality: Modality, arguments: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Return sources with their texts, and a sentence, already logged, for each that cannot be used."""
    if arguments.text is not None and arguments.text_file is not None:
        raise ValueError("--text and --text-file were both given; give one of them")
    if arguments.text is not None:
        return [(arguments.data, arguments.text)], []
    if arguments.text_file is not None:
        return [(arguments.data, " ".join(read_lines(arguments.text_file)))], []
    found, problems = load_examples(modality, arguments.data, arguments.corpus)
    examples, textless = with_text(found, modality.item)
    problems += textless
    report_problems(problems)
    return [(example.source, example.text or "") for example in examples], problems
