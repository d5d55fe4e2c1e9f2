"""One training run, from its settings to the trained model.

settings -> run folder checked -> examples -> alphabet -> Recognizer -> batches -> Trainer.fit
RunConfig   folder.py             preparation.py          recognition/  loaders.py  loop.py
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from common.command_line.counting import counted
from common.command_line.parser import UsageError
from common.data.manifest import Example
from common.recognition.configuration import ModelConfig
from common.recognition.modality import Modality
from common.recognition.recognizer import Recognizer
from common.text.symbols import Symbols
from common.training.configuration import RunConfig
from common.training.evaluation import example_writer, measure
from common.training.folder import as_json, check_folder, provenance, write_config, write_refused
from common.training.loaders import CACHE, build_loaders, fit_front_end
from common.training.log import rate_name, written_rate
from common.training.loop import Trainer
from common.training.optimisation import (
    build_fabric,
    on_rank_zero,
    seed_everything,
    seed_rank,
    take_weights_of_rank_zero,
)
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
from common.training.ranks.agreement import agree_on_batches, agree_on_files, agree_on_settings
from common.training.ranks.group import Group, group_of
from common.training.start import copy_weights, extend_symbols, fold_case, report_start, resolve_unicode_form
from common.training.targets.phones import phones_for, with_pronunciations

log = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """What rank 0 has found on disk, and hands to the other ranks."""

    training: list[Example]
    development: list[Example]
    problems: list[str]
    """one sentence for each example that is left out"""
    of_texts: Symbols
    """the symbols of the texts to train on"""
    alphabet: Symbols
    """the symbols of the model"""
    settings: dict[str, Any]
    """as config.json keeps them"""


def train(modality: Modality, config: RunConfig) -> Trainer:
    """Train a recognizer as `config` says; return the Trainer after the last epoch.

    Raises:
        ValueError: the run folder is in use and `resume` is not set, settings differ from those of the run
            to resume, or the data cannot be used.
    """
    _check_task(config)
    fabric = build_fabric(config.training)
    with group_of(fabric) as group:
        return _train(modality, config, group)


def _train(modality: Modality, config: RunConfig, group: Group) -> Trainer:
    """Train as one of the ranks of a group."""
    fabric, seed = group.fabric, config.training.seed
    agree_on_settings(group, as_json(config) | {"computes in": fabric._precision.precision})
    other = Recognizer.load(modality, config.start_from) if config.start_from and not group.rank else None
    found = group.from_rank_zero(lambda: _prepare(modality, config, other))
    agree_on_files(group, [*found.training, *found.development], modality.measure)
    if config.head.task == "frames":
        config = replace(config, augment=_even_augment(modality, config.augment))

    seed_everything(seed)
    model_config = ModelConfig(config.signal, config.front_end, config.encoder, config.head)
    recognizer = Recognizer(modality, model_config, found.alphabet)
    training, problems = _fitting(recognizer, found, config)
    if other is not None:
        copy_weights(recognizer, other)
        report_start(found.of_texts, recognizer, other)
    seed_rank(fabric, seed)

    data = build_loaders(recognizer, training, found.development, config, fabric)
    if getattr(config.front_end, "normalise", "") == "global":
        front_end, read = recognizer.front_end, data.dev.examples.read
        on_rank_zero(fabric, lambda: fit_front_end(front_end, training, read, seed))
    take_weights_of_rank_zero(fabric, recognizer)
    recognizer.card = _card(modality, training, config)
    show = example_writer(modality, found.development)
    trainer = Trainer(fabric, recognizer, data, config.training, config.run, measure, show)
    if config.resume:
        trainer.resume()
    agree_on_batches(group, (data.train, data.dev), trainer.progress.epoch)

    def begin() -> None:
        config.run.mkdir(parents=True, exist_ok=True)
        write_config(config.run, found.settings)
        write_refused(config.run, problems)
        _log_start(trainer, training, found.development)

    on_rank_zero(fabric, begin)
    _fit(trainer, config)
    return trainer


def _fit(trainer: Trainer, config: RunConfig) -> None:
    """Train to the end, end the processes that read, and log what the best model reached."""
    try:
        progress = trainer.fit()
    finally:
        trainer.data.close()
    if config.cache is None:
        trainer.fabric.barrier()
        shutil.rmtree(config.run / CACHE, ignore_errors=True)  # on every machine
    log.info(
        "best dev %s %s in epoch %d: %s",
        rate_name(progress.select),
        written_rate(progress.select, progress.best),
        progress.best_epoch + 1,
        config.run / "best.safetensors",
    )


def _prepare(modality: Modality, config: RunConfig, other: Recognizer | None) -> Prepared:
    """Check the run folder, read the corpora and find the alphabet.

    Args:
        modality: reads the corpora.
        config: the settings of the run.
        other: the model to start from, or None.

    Raises:
        ValueError: the run folder cannot be used, or the data cannot.
    """
    head = config.head
    settings = as_json(config) | {"unicode_form": resolve_unicode_form(config.unicode_form, other)}
    sections = {one.name: type(getattr(config, one.name)) for one in fields(config)}
    known = {name: kind for name, kind in sections.items() if is_dataclass(kind)}
    check_folder(config.run, config.resume, settings, known)
    training, problems = usable_examples(modality, config.train, config.corpus, head)
    development, dev_problems = usable_examples(modality, config.dev, config.corpus, head)
    if other is not None and config.start_case == "fold":
        training, development = fold_case(training, other), fold_case(development, other)
    form = settings["unicode_form"]
    phones = phones_for(config.pronunciations, training, other.alphabet if other else None, form)
    of_texts: Symbols
    if phones is None:
        of_texts = find_labels(training, head, form, config.train, modality.on_paper)
    else:
        training, unsaid = with_pronunciations(training, phones)
        problems, of_texts = problems + unsaid, phones
    report_invisible(of_texts, config.train)
    alphabet = _alphabet(of_texts, other, config)
    report_unknown_labels(development, alphabet, head, config.dev)
    return Prepared(training, development, problems + dev_problems, of_texts, alphabet, settings)


def _fitting(
    recognizer: Recognizer, found: Prepared, config: RunConfig
) -> tuple[Sequence[Example], Sequence[str]]:
    """Return the examples to train on, and one sentence for each example that is left out.

    Raises:
        ValueError: no example has enough steps for its text.
    """
    training, problems, modality = found.training, found.problems, recognizer.modality
    if config.head.task == "ctc" or (config.head.task == "attention" and config.head.ctc_weight):
        steps_per_length = modality.steps_per_length(config.signal)
        training, misfits = with_enough_steps(
            training, found.alphabet, recognizer.front_end, steps_per_length
        )
        problems = problems + misfits
    report_problems(problems)
    if not training:
        raise ValueError(f"{config.train}: no {modality.item} is left to train on")
    return training, problems


def _check_task(config: RunConfig) -> None:
    """Raise UsageError for pronunciations, or a rate that chooses the best model, where the task has none."""
    task, select = config.head.task, config.training.select
    if select is not None and task in ("frames", "classify"):
        raise UsageError(f"--select {select}: is a rate of texts; --task {task} has none, leave it out")
    if config.pronunciations is not None and task != "ctc":
        raise UsageError(f"--pronunciations: is for --task ctc; leave it out with {task}")


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
    recognizer, shares = trainer.model, trainer.data.train.shares
    together = f", {shares * trainer.data.train.budget:g} on {shares} devices" if shares > 1 else ""
    log.info(
        "%s to train on (%.0f %s), %d to measure on; %s; %s parameters; %s, %s, torch %s;"
        " batches of up to %g %s%s",
        counted(len(training), recognizer.modality.item),
        sum(example.length or 0 for example in training),
        recognizer.modality.length_unit,
        len(development),
        counted(len(recognizer.alphabet.symbols), "symbol"),
        f"{recognizer.parameter_count:,}",
        trainer.fabric.device,
        trainer.fabric._precision.precision,
        torch.__version__,
        trainer.data.train.budget,
        recognizer.modality.length_unit,
        together,
    )
