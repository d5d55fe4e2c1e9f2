"""The verb transcribe."""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from common.manifest import source_file
from common.modality import Modality, Signal
from common.transcript import FORMATS, Transcript
from common.verbs.files import ItemsFailedError, writing
from common.verbs.options import Device, budget, check_budget, load_recognizer


def arguments(modality: Modality) -> type:
    """Return the dataclass whose fields are the flags."""

    @dataclass(frozen=True)
    class Transcribe:
        """The text of files, in the order they are named."""

        files: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(help_behavior_hint="")]
        """What to transcribe; - is standard input."""
        model: Annotated[Path, tyro.conf.arg(aliases=["-m"])]
        """Model file."""
        format: Annotated[Literal["txt", "json", "tsv", "all"], tyro.conf.arg(aliases=["-f"])] = "txt"
        """txt: the text; json: words and characters with positions and confidences; tsv: a word a row."""
        output_dir: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
        """Write STEM.FORMAT there, one file for each input, instead of to standard output."""
        batch_budget: budget(modality) = None  # type: ignore[valid-type]
        device: Device = "auto"
        """Where to compute."""

    return Transcribe


def run(modality: Modality, arguments: Any) -> None:
    """Write the text of each file; raise ItemsFailedError if some could not be transcribed."""
    _check_transcribe(arguments)
    recognizer = load_recognizer(modality, arguments.model, arguments.device)
    failures: list[str] = []
    names: list[str] = []
    done = 0

    def signals() -> Iterator[Signal]:
        for name, source in _sources(modality, arguments.files, failures):
            try:
                signal = modality.read(source, recognizer.config.signal)  # type: ignore[arg-type]
            except (ValueError, OSError) as error:
                _fail(modality, failures, str(error))
                continue
            names.append(name)
            yield signal

    written: set[Path] = set()
    transcripts = recognizer.transcribe(signals(), arguments.batch_budget)
    for place, transcript in enumerate(transcripts):
        named = dataclasses.replace(transcript, source=names[place])
        try:
            _write(named, arguments.format, arguments.output_dir, written)
            done += 1
        except ValueError as error:
            _fail(modality, failures, str(error))
    if failures:
        total = len(failures) + done
        raise ItemsFailedError(f"{len(failures)} of {total} {modality.item}s could not be transcribed")


def _check_transcribe(arguments: Any) -> None:
    if not arguments.files:
        raise ValueError("no file to transcribe; name one or more, or - for standard input")
    if arguments.format == "all" and arguments.output_dir is None:
        raise ValueError("--format all writes several files for each input: say where with --output-dir")
    check_budget(arguments.batch_budget)
    if arguments.output_dir is not None:
        if arguments.output_dir.is_file():
            raise ValueError(f"{arguments.output_dir}: is a file; --output-dir wants a folder")
        with writing(arguments.output_dir):
            arguments.output_dir.mkdir(parents=True, exist_ok=True)


class _StandardInput(BytesIO):
    name = "standard input"


def _fail(modality: Modality, failures: list[str], sentence: str) -> None:
    failures.append(sentence)
    print(f"{modality.name}: {sentence}", file=sys.stderr)


def _sources(
    modality: Modality, files: Sequence[str], failures: list[str]
) -> Iterator[tuple[str, str | BytesIO]]:
    """Yield name and readable source of each signal in `files`; what cannot be opened is a failure."""
    for file in files:
        if file == "-":
            yield "-", _StandardInput(sys.stdin.buffer.read())
            continue
        try:
            if Path(file).is_dir():
                raise ValueError(f"{file}: is a folder; name the files in it, as in {file.rstrip('/')}/*")
            parts = modality.expand(file)
        except (ValueError, OSError) as error:
            _fail(modality, failures, str(error))
            continue
        for part in parts:
            yield part, part


def _write(transcript: Transcript, format: str, output_dir: Path | None, written: set[Path]) -> None:
    """Write a transcript to standard output, or to files that no other input of this call has written."""
    for name in FORMATS if format == "all" else [format]:
        text = FORMATS[name](transcript)
        if output_dir is None:
            with writing("standard output"):
                sys.stdout.write(text)
                sys.stdout.flush()
            continue
        source = transcript.source
        path = output_dir / (f"stdin.{name}" if source == "-" else f"{_stem(source)}.{name}")
        if path in written:
            raise ValueError(
                f"{source}: {path} already holds the text of another input; use another --output-dir"
            )
        written.add(path)
        with writing(path):
            path.write_text(text, encoding="utf-8")


def _stem(source: str) -> str:
    """Return "scan-2" for "scan.tif[2]"."""
    file = source_file(source)
    part = source[len(file) :].strip("[]:").replace("/", "_")
    return f"{Path(file).stem}-{part}" if part else Path(file).stem
