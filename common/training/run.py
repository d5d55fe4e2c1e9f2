"""A training run from its arguments: the run folder, the data, the model, the Trainer."""

import copy
import json
import logging
import platform
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.fabric import Fabric
from PIL import Image

from common.data.batching import BatchLoader, Examples
from common.data.frame_targets import FrameTargets, frame_names, parts_of
from common.data.manifest import Example
from common.data.signal import Signal
from common.recognition.modality import Modality
from common.recognition.recognizer import EncoderConfig, HeadConfig, ModelConfig, Recognizer
from common.text.symbols import Alphabet, Names, Symbols
from common.training.evaluation import measure
from common.training.loop import Data, Trainer, rate_name, written_rate
from common.training.optimisation import RESUMABLE, TrainingConfig, build_fabric, seed_everything
from common.training.preparation import (
    corpus_paths,
    fingerprint,
    fitting,
    load_examples,
    report_problems,
    report_unknown,
    untranscribed,
)

log = logging.getLogger(__name__)

SHOWN_EXAMPLES = 4


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The settings of one run; config.json of the run folder keeps them under these names.

    `front_end`, `signal`, `corpus` and `augment` are of the modality's own dataclasses: `signal_config` and
    `corpus_config` of `Modality`, `front_end_config` and `augment_config` of its `Training`.
    """

    train: str
    """Training data: a folder or manifest, or several with commas between them."""
    dev: str
    """Development data: the model is measured on it after each epoch and never learns from it."""
    run: Path
    """Folder for the model, the checkpoints and the logs."""
    resume: bool = False
    """Continue the run in that folder exactly where its last checkpoint was written."""
    start_from: Path | None = None
    """A model file whose weights the run starts with, instead of random ones; the architecture must match."""
    unicode_form: Literal["NFC", "NFD", "NFKC", "NFKD", "none"] = "NFC"
    """Unicode form of the texts, here and in every later comparison."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    front_end: Any
    signal: Any
    corpus: Any
    augment: Any


def train(modality: Modality, arguments: RunConfig) -> Trainer:
    """Train as the settings say; return the Trainer in its final state.

    Raises:
        ValueError: a run folder in use without --resume, or settings that differ on resuming, or bad data.
    """
    config = json.loads(json.dumps(asdict(arguments), default=str))
    run: Path = arguments.run
    _check_select(arguments)
    check_run(run, arguments.resume, config)
    fabric = build_fabric(arguments.training)
    if not fabric.is_global_zero:
        logging.getLogger().setLevel(logging.ERROR)
    seed_everything(arguments.training.seed)

    head: HeadConfig = arguments.head
    if head.task == "frames":
        arguments = replace(arguments, augment=_even_augment(modality, arguments.augment))
    training, problems = _examples(modality, arguments.train, arguments)
    development, dev_problems = _examples(modality, arguments.dev, arguments)
    problems += dev_problems
    alphabet = _alphabet(training, arguments)
    recognizer = Recognizer(
        modality, ModelConfig(arguments.signal, arguments.front_end, arguments.encoder, head), alphabet
    )
    front_end, per_length = recognizer.front_end, modality.steps_per_length(arguments.signal)
    if head.task == "ctc" or (head.task == "attention" and head.ctc_weight):
        training, misfits = fitting(training, alphabet, front_end, per_length)
        problems += misfits
    report_problems(problems)
    if not training:
        raise ValueError(f"{arguments.train}: no {modality.item} is left to train on")
    _report_unknown(development, alphabet, arguments)
    if arguments.start_from is not None:
        _start_from(recognizer, Recognizer.load(modality, arguments.start_from))

    data = _data(modality, arguments, fabric, training, development, recognizer)
    if getattr(arguments.front_end, "normalise", "") == "global":
        sample = np.random.default_rng(arguments.training.seed).permutation(len(training))[:500]
        front_end.fit(_readable(data.dev.examples.read, [training[index].source for index in sample]))
    recognizer.card = _card(modality, training, arguments)
    trainer = Trainer(
        fabric, recognizer, data, arguments.training, run, measure, _show(modality, development)
    )
    if fabric.is_global_zero:
        run.mkdir(parents=True, exist_ok=True)
        write_config(run, config)
        (run / "refused.txt").write_text("".join(f"{sentence}\n" for sentence in problems), encoding="utf-8")
        _announce(trainer, training, development)
    if arguments.resume:
        trainer.resume()
    progress = trainer.fit()
    log.info(
        "best dev %s %s in epoch %d: %s",
        rate_name(progress.select),
        written_rate(progress.select, progress.best),
        progress.best_epoch + 1,
        run / "best.safetensors",
    )
    return trainer


def _alphabet(examples: list[Example], arguments: RunConfig) -> Symbols:
    """Return the labels of a task, found in its examples; ValueError if there is nothing to tell apart."""
    head: HeadConfig = arguments.head
    if head.task == "frames":
        names = frame_names(examples, head.frame_labels, arguments.unicode_form)
        if not names.symbols:
            raise ValueError(f"{arguments.train}: no example has anything in it to be labelled")
        return names
    texts = (example.text or "" for example in examples)
    if head.task in ("ctc", "attention"):
        return Alphabet.from_texts(texts, arguments.unicode_form)
    names = Names.from_texts(texts, arguments.unicode_form)
    if len(names.symbols) < 2:
        raise ValueError(
            f"{arguments.train}: all examples have the label {names.symbols[0]!r}; two labels or more are"
            " wanted to be told apart"
        )
    return names


def _report_unknown(development: list[Example], alphabet: Symbols, arguments: RunConfig) -> None:
    """Log which characters or names of the dev examples the model can never give."""
    texts = [example.text or "" for example in development]
    if arguments.head.task == "frames":
        level = arguments.head.frame_labels
        texts = [part.text for example in development for part in parts_of(example, level)]
        alphabet = Names(alphabet.symbols, None, alphabet.unicode_form)  # each is one name
    report_unknown(texts, alphabet, arguments.dev)


def _even_augment(modality: Modality, config: Any) -> Any:
    """Return the augmentation under which labels of steps stay in place, and say what it leaves out."""
    even = modality.training().evenly(config)
    before, after = asdict(config), asdict(even)
    for name in before:
        if before[name] != after[name]:
            log.info(
                "--task frames: %s is %s instead of %s, for it would move labels",
                name,
                after[name],
                before[name],
            )
    return even


def _placed(examples: list[Example], head: HeadConfig) -> tuple[list[Example], list[str]]:
    """Return the examples that say where their words or characters are, and a sentence for each other."""
    placed, problems = [], []
    for example in examples:
        try:
            parts_of(example, head.frame_labels)
            placed.append(example)
        except ValueError as error:
            problems.append(str(error))
    return placed, problems


def write_config(run: Path, config: dict[str, Any]) -> None:
    """Keep the run's configuration in config.json."""
    (run / "config.json").write_text(
        json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _announce(trainer: Trainer, training: list[Example], development: list[Example]) -> None:
    recognizer = trainer.model
    log.info(
        "%d %ss to train on (%.0f %s), %d to measure on; %d symbols; %s parameters; %s, %s, torch %s",
        len(training),
        recognizer.modality.item,
        sum(example.length or 0 for example in training),
        recognizer.modality.length_unit,
        len(development),
        len(recognizer.alphabet.symbols),
        f"{recognizer.parameter_count:,}",
        trainer.fabric.device,
        trainer.fabric._precision.precision,
        torch.__version__,
    )


def _readable(read: Callable[[str], Signal], sources: list[str]) -> Iterator[torch.Tensor]:
    """Yield the signals that can be read; training names the others when it comes to them."""
    for source in sources:
        try:
            yield torch.from_numpy(read(source).values)
        except (ValueError, OSError):
            continue


def _check_select(arguments: RunConfig) -> None:
    task, select = arguments.head.task, arguments.training.select
    if select is not None and task in ("frames", "classify"):
        raise ValueError(f"--select {select}: is a rate of texts; --task {task} has none, leave it out")


def check_run(run: Path, resume: bool, config: dict[str, Any]) -> None:
    """Refuse to write over a run, and to resume one under other settings."""
    kept = run / "config.json"
    if run.exists() and not run.is_dir():
        raise ValueError(f"{run}: is a file; --run wants a folder of its own")
    if not resume:
        if run.is_dir() and any(run.iterdir()):
            raise ValueError(f"{run}: already holds files; go on with --resume, or name another folder")
        return
    if not kept.exists():
        raise ValueError(f"{run}: holds no run to resume (no config.json); leave --resume out")
    try:
        before = json.loads(kept.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{kept}: is damaged ({error}); start anew in another run folder") from error
    changed = sorted(
        name for name in _flatten(before) | _flatten(config)
        if _flatten(before).get(name) != _flatten(config).get(name)
        and name.rpartition(".")[2] not in RESUMABLE | {"resume", "run"}
    )  # fmt: skip
    if changed:
        listed = ", ".join(
            f"{name} was {_flatten(before).get(name)} and is {_flatten(config).get(name)}" for name in changed
        )
        raise ValueError(f"{run}: cannot be resumed with other settings: {listed}")


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _examples(modality: Modality, path: str, arguments: RunConfig) -> tuple[list[Example], list[str]]:
    """Return the examples at `path` that have what the task wants, and a sentence for each other."""
    head: HeadConfig = arguments.head
    found, problems = load_examples(modality, path, arguments.corpus)
    examples, textless = untranscribed(found, modality.item, label=head.task == "classify")
    placeless: list[str] = []
    if head.task == "frames":
        examples, placeless = _placed(examples, head)
    problems += textless + placeless
    if not examples:
        report_problems(problems)
        raise ValueError(f"{path}: none of its {modality.item}s can be used for --task {head.task}")
    return examples, problems


def _data(
    modality: Modality, arguments: RunConfig, fabric: Fabric, training: list[Example],
    development: list[Example], recognizer: Recognizer,
) -> Data:  # fmt: skip
    config: TrainingConfig = arguments.training
    signal, shortest = arguments.signal, recognizer.front_end.shortest
    budget = modality.batch_budget if config.batch_budget is None else config.batch_budget
    cache = int(config.cache_gb * 2**30 / max(1, config.workers) / config.devices)
    reader = _Reader(modality, signal)
    augment = modality.training().augment(arguments.augment, signal)
    frames = lenient = None
    if recognizer.task == "frames":
        level = arguments.head.frame_labels
        frames = FrameTargets(recognizer.alphabet, level, recognizer.stride, recognizer.offset)
        lenient = replace(frames, strict=False)
    steps = _Steps(copy.deepcopy(recognizer.front_end))  # a copy stays on the CPU, and can go to workers
    seen = Examples(
        training, recognizer.alphabet, reader, augment, config.seed, cache, shortest, frames, steps
    )
    unseen = Examples(development, None, reader, None, config.seed, cache // 4, shortest, lenient, steps)
    rank, ranks = fabric.global_rank, fabric.world_size
    return Data(
        BatchLoader(seen, budget, config.seed, rank, ranks, config.workers),
        BatchLoader(unseen, budget, None, rank, ranks, config.workers),
    )


@dataclass(frozen=True)
class _Reader:
    """Reads signals under one configuration, in this process or in a worker."""

    modality: Modality
    config: Any

    def __call__(self, source: str) -> Any:
        return self.modality.read(source, self.config)


@dataclass(frozen=True)
class _Steps:
    """How many steps so many signal steps give, in this process or in a worker."""

    front_end: Any

    def __call__(self, length: int) -> int:
        return int(self.front_end.output_lengths(torch.tensor([length])))


def _start_from(recognizer: Recognizer, other: Recognizer) -> None:
    """Copy the weights of `other`; of the heads, the rows of the symbols that both alphabets have.

    Raises:
        ValueError: a weight of another shape, beside the heads.
    """
    theirs, ours = (_flatten(asdict(one.config)) for one in (other, recognizer))
    differing = ", ".join(
        f"{name} {theirs.get(name)} (here {ours[name]})" for name in ours if theirs.get(name) != ours[name]
    )
    known = {symbol: row for row, symbol in enumerate(other.alphabet.symbols, 1)}
    pairs = [
        (row, known[symbol]) for row, symbol in enumerate(recognizer.alphabet.symbols, 1) if symbol in known
    ]
    # of one label to a sequence, row 0 is label 1
    rows = (
        torch.tensor(pairs).reshape(-1, 2) - 1 if other.task == "classify" else torch.tensor([(0, 0), *pairs])
    )
    labelled = ("head.linear.", "shortcut.")
    state, same_task = other.state_dict(), other.task == recognizer.task
    for name, value in recognizer.state_dict().items():
        if name.startswith(("head.", "shortcut.")) and (name not in state or not same_task):
            continue
        if name.startswith(labelled) and value.shape[1:] == state[name].shape[1:]:
            value[rows[:, 0]] = state[name][rows[:, 1]]
        elif name in state and value.shape == state[name].shape:
            value.copy_(state[name])
        else:
            raise ValueError(f"--start-from: that model has {differing}; give the same settings here")
    log.info(
        "starting from a model that knows %d of %d symbols", len(pairs), len(recognizer.alphabet.symbols)
    )
    if differing:
        log.info("its settings were others, but its weights fit: %s", differing)


def _card(modality: Modality, training: list[Example], arguments: RunConfig) -> dict[str, Any]:
    return {
        "software": f"amanuensis {version('amanuensis')}",
        "torch": torch.__version__,
        "machine": platform.machine(),
        "commit": commit(),
        "training_data": ["/".join(Path(path).parts[-2:]) for path in corpus_paths(arguments.train)],
        "training_data_hash": fingerprint(training),
        "examples": len(training),
        "length": round(sum(example.length or 0 for example in training), 1),
        "length_unit": modality.length_unit,
        "training": asdict(arguments.training),
        "augment": asdict(arguments.augment),
    }


def commit() -> str:
    """Return the commit of the checkout this file is part of, or nothing outside one."""
    try:
        asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
        return subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _show(modality: Modality, development: list[Example]) -> Any:
    """Return what logs a few dev examples, with reference and hypothesis, to TensorBoard after each epoch."""
    chosen = development[:: max(1, len(development) // SHOWN_EXAMPLES)][:SHOWN_EXAMPLES]

    def show(recognizer: Recognizer, epoch: int, writer: Any) -> None:
        from io import BytesIO

        for number, example in enumerate(chosen):
            try:
                signal = modality.read(example.source, recognizer.config.signal)
            except (ValueError, OSError) as error:
                log.warning("not shown: %s", error)
                continue
            (transcript,) = recognizer.transcribe([signal])
            text = f"reference: {example.text}  \nhypothesis: {transcript.text}"
            writer.add_text(f"example {number}", text, epoch)
            if epoch == 0:
                picture = Image.open(BytesIO(modality.render(signal.values, recognizer.config.signal).png))
                writer.add_image(
                    f"example {number}", np.asarray(picture.convert("RGB")), 0, dataformats="HWC"
                )

    return show
