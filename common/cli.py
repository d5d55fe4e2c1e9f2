"""The commands: train, evaluate and transcribe, for any modality."""

import dataclasses
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from common.manifest import source_file
from common.metrics import ErrorRate
from common.modality import Modality, Signal
from common.preparation import load_examples, report_problems, report_unknown, untranscribed
from common.transcript import FORMATS, Transcript

log = logging.getLogger(__name__)

HELP = (
    tyro.conf.DisallowNone,  # "PATH" instead of "{None}|PATH"; what is left out is None
    tyro.conf.HelptextFromCommentsOff,
    tyro.conf.PositionalMetavarFromFieldName,
)
"""how a verb's fields become flags"""

Device = Literal["auto", "cpu", "cuda", "mps"]


class ItemsFailedError(Exception):
    """Some items of the call failed, each already named; the others are done."""


def main(modality: Modality, arguments: Sequence[str] | None = None) -> None:
    """Run the command line of `modality` and exit: 0 all good, 1 something failed, 2 bad usage."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    warnings.formatwarning = lambda message, *_, **__: f"{modality.name}: warning: {message}\n"
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    verbs = {
        "train": lambda: (_train_arguments(modality), _train),
        "evaluate": lambda: (_evaluate_arguments(modality), _evaluate),
        "transcribe": lambda: (_transcribe_arguments(modality), _transcribe),
    }
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(modality))
        raise SystemExit(0 if arguments else 2)
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"{modality.name} (amanuensis {version('amanuensis')})")
        raise SystemExit(0)
    if arguments[0] not in verbs:
        print(f"{modality.name}: no verb {arguments[0]!r}; there are {', '.join(verbs)}", file=sys.stderr)
        raise SystemExit(2)
    kind, verb = verbs[arguments[0]]()
    try:
        verb(
            modality, tyro.cli(kind, prog=f"{modality.name} {arguments[0]}", args=arguments[1:], config=HELP)
        )
    except ItemsFailedError as error:
        print(f"{modality.name}: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:  # as the signal module's documentation has it: what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print(f"{modality.name}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise  # our own mistake
        print(f"{modality.name}: {_sentence(error)}", file=sys.stderr)
        raise SystemExit(1) from None


def _sentence(error: Exception) -> str:
    """Return in one line what went wrong."""
    if isinstance(error, MemoryError | RuntimeError):
        return f"not enough memory ({_first_line(error)}); lower --batch-budget"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if "Original Traceback" in str(
        error
    ):  # of a DataLoader's worker; its last line is "ValueError: sentence"
        return str(error).strip().splitlines()[-1].partition(": ")[2]
    return str(error)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _overview(modality: Modality) -> str:
    name, item = modality.name, modality.item
    return (
        f"usage: {name} VERB ...\n\n"
        f"  train TRAIN DEV --run DIR         learn from transcribed {item}s; resumes with --resume\n"
        f"  evaluate MODEL DATA               error rates on transcribed {item}s; --report out.html\n"
        f"  transcribe FILE... --model MODEL  the text of {item}s, to stdout or to files\n\n"
        f"`{name} VERB --help` lists a verb's options. Text goes to stdout, everything else to stderr."
    )


def _flat(kind: Any) -> Any:
    return Annotated[kind, tyro.conf.arg(name="")]


def _budget(modality: Modality) -> Any:
    what = f"Padded length of one batch, in {modality.length_unit}: lower it if memory is short."
    hint = f"(default: {modality.batch_budget:g})"
    return Annotated[float | None, tyro.conf.arg(help=what, help_behavior_hint=hint)]


def _train_arguments(modality: Modality) -> type:
    from common.optimisation import TrainingConfig
    from common.recognizer import EncoderConfig

    parts = modality.training()

    @dataclass(frozen=True)
    class Train:
        """Learn from transcribed examples; the best model is DIR/best.safetensors."""

        train: Positional[str]
        """What to learn from: a folder or manifest, or several with commas between."""
        dev: Positional[str]
        """What to measure on after each epoch; never learnt from."""
        run: Path
        """Folder for the model, checkpoints and logs."""
        resume: bool = False
        """Go on with the run in that folder, exactly where its last checkpoint was written."""
        start_from: Path | None = None
        """Begin with the weights of this model instead of random ones; its architecture must be the same."""
        unicode_form: Literal["NFC", "NFD", "NFKC", "NFKD", "none"] = "NFC"
        """Form the texts are brought to, here and in every later comparison."""
        training: _flat(TrainingConfig) = field(default_factory=TrainingConfig)  # type: ignore[valid-type]
        encoder: _flat(EncoderConfig) = field(default_factory=EncoderConfig)  # type: ignore[valid-type]
        front_end: _flat(parts.front_end_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=parts.front_end_config
        )
        signal: _flat(modality.signal_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=modality.signal_config
        )
        corpus: _flat(modality.corpus_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=modality.corpus_config
        )
        augment: parts.augment_config = field(  # type: ignore[valid-type,name-defined]
            default_factory=parts.augment_config
        )

    return Train


def _train(modality: Modality, arguments: Any) -> None:
    from common.run import train

    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):  # at INFO from their import on
        logging.getLogger(name).setLevel(logging.WARNING)
    train(modality, arguments)


def _evaluate_arguments(modality: Modality) -> type:
    @dataclass(frozen=True)
    class Evaluate:
        """Error rates of a model on transcribed examples."""

        model: Positional[Path]
        """Model file."""
        data: Positional[str]
        """A folder or manifest, or several with commas between."""
        report: Path | None = None
        """Write a page that shows each example with its reference and hypothesis, worst first."""
        json: Path | None = None
        """Write all figures as JSON."""
        batch_budget: _budget(modality) = None  # type: ignore[valid-type]
        device: Device = "auto"
        """Where to compute."""
        corpus: _flat(modality.corpus_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=modality.corpus_config
        )

    return Evaluate


def _evaluate(modality: Modality, arguments: Any) -> None:
    from common.batching import BatchLoader, Examples
    from common.evaluation import evaluate

    _check_budget(arguments.batch_budget)
    for path in filter(None, (arguments.json, arguments.report)):
        _make_place(path)
    recognizer = _load(modality, arguments.model, arguments.device)
    found, problems = load_examples(modality, arguments.data, arguments.corpus)
    examples, textless = untranscribed(found, modality.item)
    problems += textless
    report_unknown(examples, recognizer.alphabet, arguments.data)
    config = recognizer.config.signal
    items = Examples(
        examples, None, lambda source: modality.read(source, config), shortest=recognizer.front_end.shortest
    )
    budget = modality.batch_budget if arguments.batch_budget is None else arguments.batch_budget
    loader = BatchLoader(items, budget)
    unread: list[str] = []
    rate = evaluate(recognizer, loader, progress=True, refused=unread)
    report_problems(problems)
    problems += unread
    if not rate.count:
        raise ItemsFailedError(f"none of {len(problems)} {modality.item}s could be evaluated")
    _print_rate(rate, modality.item)
    facts = {
        "model": str(arguments.model),
        "data": arguments.data,
        "parameters": f"{recognizer.parameter_count:,}",
    }
    if arguments.json:
        figures = {**facts, "parameters": recognizer.parameter_count, **rate.to_dict(), "refused": problems}
        with _writing(arguments.json):
            arguments.json.write_text(
                json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )
    if arguments.report:
        from common.report import write_report

        def render(source: str) -> Any:
            return modality.render(modality.read(source, config).values, config)

        with _writing(arguments.report):
            write_report(arguments.report, f"{modality.name}: {arguments.data}", rate, render, facts)
    if problems:
        total = rate.count + len(problems)
        raise ItemsFailedError(f"{len(problems)} of {total} {modality.item}s could not be evaluated")


def _print_rate(rate: ErrorRate, item: str) -> None:
    print(rate.kaldi("WER"))
    print(rate.kaldi("CER"))
    for name in ("cer", "wer"):
        low, high = rate.interval(name)
        value = getattr(rate, name)
        print(f"{name.upper()} {100 * value:.2f} %  (95 % interval {100 * low:.2f} to {100 * high:.2f})")
    print(f"{rate.count} {item}s, {rate.sentences_wrong} with an error")
    for (reference, hypothesis), count in rate.confusions.most_common(10):
        print(f"  {count:5d}  {reference or 'nothing'!r} read as {hypothesis or 'nothing'!r}")


def _check_budget(batch_budget: float | None) -> None:
    if batch_budget is not None and not batch_budget > 0:
        raise ValueError(f"--batch-budget is {batch_budget:g}; give a length above 0")


def _make_place(path: Path) -> None:
    """Make the folder of a file to be written at the end, so that what fails there fails now."""
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; name a file to write")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def _writing(path: Path | str) -> Iterator[None]:
    """Name `path` in the error if it cannot be written: Python's own has no name once the file is open."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror or error})") from error


def _transcribe_arguments(modality: Modality) -> type:
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
        batch_budget: _budget(modality) = None  # type: ignore[valid-type]
        device: Device = "auto"
        """Where to compute."""

    return Transcribe


def _transcribe(modality: Modality, arguments: Any) -> None:
    _check_transcribe(arguments)
    recognizer = _load(modality, arguments.model, arguments.device)
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
    _check_budget(arguments.batch_budget)
    if arguments.output_dir is not None:
        if arguments.output_dir.is_file():
            raise ValueError(f"{arguments.output_dir}: is a file; --output-dir wants a folder")
        with _writing(arguments.output_dir):
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
            with _writing("standard output"):
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
        with _writing(path):
            path.write_text(text, encoding="utf-8")


def _stem(source: str) -> str:
    """Return "scan-2" for "scan.tif[2]"."""
    file = source_file(source)
    part = source[len(file) :].strip("[]:").replace("/", "_")
    return f"{Path(file).stem}-{part}" if part else Path(file).stem


def _load(modality: Modality, model: Path, device: Device) -> Any:
    import torch

    from common.recognizer import Recognizer

    recognizer = Recognizer.load(modality, model)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: no CUDA device here; use --device auto or cpu")
    if device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("--device mps: no Apple GPU here; use --device auto or cpu")
    return recognizer.to(device)
