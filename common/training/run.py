"""One training run, from its settings to the trained model.

settings -> run folder checked -> examples -> alphabet -> Recognizer -> batches -> Trainer.fit
RunConfig   folder.py             preparation.py          recognition/  loaders.py  loop.py
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from common.command_line.parser import UsageError
from common.data.manifest import Example
from common.recognition.configuration import ModelConfig
from common.recognition.modality import Modality
from common.recognition.recognizer import Recognizer
from common.text.symbols import Symbols
from common.training.configuration import RunConfig
from common.training.evaluation import example_writer, measure
from common.training.folder import as_json, check_folder, provenance, write_config, write_refused
from common.training.loaders import build_loaders, fit_front_end
from common.training.log import rate_name, written_rate
from common.training.loop import Trainer
from common.training.optimisation import build_fabric, on_rank_zero, seed_everything, seed_rank
from common.training.preparation import (
    corpus_paths,
    find_labels,
    fingerprint,
    report_invisible,
    report_problems,
    report_unknown_labels,
    usable_examples,
    with_enough_steps,
)
from common.training.start import copy_weights, extend_symbols, report_start, resolve_unicode_form

log = logging.getLogger(__name__)


def train(modality: Modality, config: RunConfig) -> Trainer:
    """Train a recognizer as `config` says; return the Trainer after the last epoch.

    Raises:
        ValueError: the run folder is in use and `resume` is not set, settings differ from those of the run
            to resume, or the data cannot be used.
    """
    run, head = config.run, config.head
    _check_select(config)
    other = None if config.start_from is None else Recognizer.load(modality, config.start_from)
    settings = as_json(config) | {"unicode_form": resolve_unicode_form(config.unicode_form, other)}
    check_folder(run, config.resume, settings)
    fabric = build_fabric(config.training)
    if not fabric.is_global_zero:
        logging.getLogger().setLevel(logging.ERROR)
    seed_everything(config.training.seed)
    if head.task == "frames":
        config = replace(config, augment=_even_augment(modality, config.augment))

    training, problems = usable_examples(modality, config.train, config.corpus, head)
    development, dev_problems = usable_examples(modality, config.dev, config.corpus, head)
    problems += dev_problems
    of_texts = find_labels(training, head, settings["unicode_form"], config.train, modality.on_paper)
    report_invisible(of_texts, config.train)
    alphabet = _alphabet(of_texts, other, config)
    model_config = ModelConfig(config.signal, config.front_end, config.encoder, head)
    recognizer = Recognizer(modality, model_config, alphabet)
    front_end = recognizer.front_end
    if head.task == "ctc" or (head.task == "attention" and head.ctc_weight):
        steps_per_length = modality.steps_per_length(config.signal)
        training, misfits = with_enough_steps(training, alphabet, front_end, steps_per_length)
        problems += misfits
    report_problems(problems)
    if not training:
        raise ValueError(f"{config.train}: no {modality.item} is left to train on")
    report_unknown_labels(development, alphabet, head, config.dev)
    if other is not None:
        copy_weights(recognizer, other)
        report_start(of_texts, recognizer, other)
    seed_rank(fabric, config.training.seed)

    data = build_loaders(recognizer, training, development, config.training, config.augment, fabric)
    if getattr(config.front_end, "normalise", "") == "global":
        fit_front_end(front_end, training, data.dev.examples.read, config.training.seed)
    recognizer.card = _card(modality, training, config)
    show = example_writer(modality, development)
    trainer = Trainer(fabric, recognizer, data, config.training, run, measure, show)
    if config.resume:
        trainer.resume()

    def begin() -> None:
        run.mkdir(parents=True, exist_ok=True)
        write_config(run, settings)
        write_refused(run, problems)
        _log_start(trainer, training, development)

    on_rank_zero(fabric, begin)
    progress = trainer.fit()
    log.info(
        "best dev %s %s in epoch %d: %s",
        rate_name(progress.select),
        written_rate(progress.select, progress.best),
        progress.best_epoch + 1,
        run / "best.safetensors",
    )
    return trainer


def _check_select(config: RunConfig) -> None:
    """Raise UsageError if the best model is to be chosen by a rate that the task does not have."""
    task, select = config.head.task, config.training.select
    if select is not None and task in ("frames", "classify"):
        raise UsageError(f"--select {select}: is a rate of texts; --task {task} has none, leave it out")


def _alphabet(of_texts: Symbols, other: Recognizer | None, config: RunConfig) -> Symbols:
    """Return the symbols of the model: those of the texts and, if they are kept, of the model to start from.

    Raises:
        ValueError: there are none.
    """
    alphabet = of_texts
    if other is not None and config.start_symbols == "keep":
        alphabet = extend_symbols(of_texts, other, config.head)
    if not alphabet.symbols:
        raise ValueError(
            f"{config.train}: all texts are empty, which leaves nothing to learn; give examples with texts"
        )
    return alphabet


def _even_augment(modality: Modality, augment_config: Any) -> Any:
    """Return `augment_config` without the changes that would move labels of steps, and log those."""
    even = modality.training().evenly(augment_config)
    before, after = asdict(augment_config), asdict(even)
    for name in before:
        if before[name] != after[name]:
            log.info(
                "--task frames: %s is %s instead of %s, for it would move labels",
                name,
                after[name],
                before[name],
            )
    return even


def _card(modality: Modality, training: Sequence[Example], config: RunConfig) -> dict[str, Any]:
    """Return the facts about a run that its model file keeps."""
    return {
        **provenance(),
        "training_data": ["/".join(Path(path).parts[-2:]) for path in corpus_paths(config.train)],
        "training_data_hash": fingerprint(training),
        "examples": len(training),
        "length": round(sum(example.length or 0 for example in training), 1),
        "length_unit": modality.length_unit,
        "training": asdict(config.training),
        "augment": asdict(config.augment),
    }


def _log_start(trainer: Trainer, training: Sequence[Example], development: Sequence[Example]) -> None:
    """Log the amount of data, the size of the model and the device."""
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
