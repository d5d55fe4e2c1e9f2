"""`lm train --recurrent`: a recurrent language model is trained by the loop that trains all models."""

import dataclasses
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric

from common.command_line.counting import counted
from common.command_line.parser import UsageError
from common.commands.flags.lm import LanguageModelTrainFlags, RecurrentSettings
from common.data.batching import BatchLoader
from common.data.text_streams import Lines, Streams, join
from common.language.recurrent_model import LanguageModelConfig
from common.network.language_model import LanguageModel, Truncation
from common.network.scoring import measure_bits
from common.text.vocabulary import Vocabulary
from common.training.configuration import TrainingConfig
from common.training.folder import as_json, check_folder, provenance, write_config
from common.training.log import rate_name, written_rate
from common.training.loop import Data, Trainer
from common.training.optimisation import build_fabric, on_rank_zero, seed_everything, seed_rank
from common.training.preparation import described_symbols
from common.training.ranks.agreement import agree_on_batches, agree_on_settings
from common.training.ranks.group import Group, group_of

log = logging.getLogger(__name__)

EVERY = 50
"""one of this many lines is held out if no other text is named to measure on"""
DEV_STEPS, DEV_STREAM = 256, 2000
"""of held-out text: steps that are read at a time, and labels for each further stream"""

Texts = Mapping[str, Sequence[str]]
"""lines by their label, which is "" if texts have none"""


def train_recurrent(
    arguments: LanguageModelTrainFlags, run: Path, read: Callable[[], tuple[Texts, Texts]], unicode_form: str
) -> Trainer:
    """Train a recurrent language model; return the Trainer in its final state.

    Args:
        arguments: the flags of `lm train`.
        run: the run folder.
        read: returns the texts to train on, and the text to measure on; of a text without any, a part is held
            out. Only rank 0 calls it.
        unicode_form: Unicode form of all texts.

    Raises:
        ValueError: a run folder in use without --resume, settings that differ on resuming, or held-out text
            that is too short or has other labels.
    """
    settings = arguments.settings
    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):  # importing them sets INFO
        logging.getLogger(name).setLevel(logging.WARNING)
    config = TrainingConfig(select=None, **_given(TrainingConfig, settings))
    # the layer that makes a first state of the condition takes part in the first windows only
    fabric = build_fabric(config, some_unused=settings.network.condition == "first")
    with group_of(fabric) as group:
        return _train(arguments, run, group, config, lambda: _split(*read()), unicode_form)


def _train(
    arguments: LanguageModelTrainFlags,
    run: Path,
    group: Group,
    config: TrainingConfig,
    read: Callable[[], tuple[Texts, Texts]],
    unicode_form: str,
) -> Trainer:
    """Train as one of the ranks of a group; the arguments are those of `train_recurrent`."""
    settings, fabric, described = arguments.settings, group.fabric, as_json(arguments)
    agree_on_settings(group, described | {"computes in": fabric._precision.precision})

    def prepare() -> tuple[Texts, Texts]:
        check_folder(run, settings.resume, described)
        return read()

    texts, held_out = group.from_rank_zero(prepare)
    seed_everything(settings.seed)
    model = _build(arguments, texts, unicode_form)
    seed_rank(fabric, settings.seed)
    data = _data(settings, model, texts, held_out, fabric)._replace(
        fingerprints={
            "texts": _described(texts),
            "held-out texts": _described(held_out),
            "symbols": described_symbols(model.vocabulary),
        }
    )
    trainer = Trainer(fabric, model, data, config, run, measure_bits)
    if settings.resume:
        trainer.resume()
    agree_on_batches(group, (data.train, data.dev), trainer.progress.epoch)

    def begin() -> None:
        run.mkdir(parents=True, exist_ok=True)
        write_config(run, described)
        _log_start(trainer, texts, held_out)

    on_rank_zero(fabric, begin)
    progress = trainer.fit()
    log.info(
        "best %s %s in epoch %d: %s",
        rate_name(progress.select),
        written_rate(progress.select, progress.best),
        progress.best_epoch + 1,
        run / "best.safetensors",
    )
    return trainer


def _log_start(trainer: Trainer, texts: Texts, held_out: Texts) -> None:
    """Log the amount of text, the size of the model and the device."""
    model, fabric = trainer.model, trainer.fabric
    log.info(
        "%s to train on, %d to measure on; %d %ss%s; %s parameters; %s, %s, torch %s",
        counted(sum(map(len, texts.values())), "line"),
        sum(map(len, held_out.values())),
        len(model.vocabulary.symbols),
        model.vocabulary.unit,
        f"; {model.config.condition}: {', '.join(model.conditions)}" if model.conditions else "",
        f"{model.parameter_count:,}",
        fabric.device if fabric.world_size == 1 else f"{fabric.world_size} x {fabric.device.type}",
        fabric._precision.precision,
        torch.__version__,
    )


def _split(texts: Texts, held_out: Texts) -> tuple[Texts, Texts]:
    """Return the text to train on and the text to measure on, which is part of it if none is held out."""
    if not held_out:
        held_out = {label: lines[EVERY - 1 :: EVERY] for label, lines in texts.items()}
        texts = {
            label: [line for number, line in enumerate(lines) if (number + 1) % EVERY]
            for label, lines in texts.items()
        }
    if unknown := sorted(set(held_out) - set(texts)):
        raise UsageError(f"--held-out: label {', '.join(unknown)}, but texts have {', '.join(texts)}")
    if not all(held_out.values()):
        raise ValueError(f"fewer than {EVERY} lines of text; name text to measure on with --held-out")
    return texts, held_out


def _build(arguments: LanguageModelTrainFlags, texts: Texts, unicode_form: str) -> LanguageModel:
    """Return a model with the vocabulary of the texts and a condition for each of their labels."""
    lines = (line for some in texts.values() for line in some)
    vocabulary = Vocabulary.from_texts(lines, arguments.unit, arguments.vocabulary, unicode_form)
    conditions = tuple(label for label in texts if label)
    network = LanguageModelConfig(**_given(LanguageModelConfig, arguments.settings.network))
    if conditions and network.condition == "none":
        network = dataclasses.replace(network, condition="every")
    model = LanguageModel(network, vocabulary, conditions)
    model.card = _card(arguments, texts)
    return model


def _given(kind: type, settings: Any) -> dict[str, Any]:
    """Return the settings that are also fields of the dataclass `kind`."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in vars(settings).items() if name in names}


def _data(
    settings: RecurrentSettings, model: LanguageModel, texts: Texts, held_out: Texts, fabric: Fabric
) -> Data:
    """Return the batches of this rank, and set the model's truncation of backpropagation for them."""
    encode = model.vocabulary.encode
    seen: Lines | Streams
    unseen: Lines | Streams
    if settings.k1 == 0:
        seen, unseen = (
            Lines(
                [encode(line) for lines in some.values() for line in lines],
                _values(model, [label for label, lines in some.items() for _ in lines]),
                settings.batch_budget,
                seed,
            )
            for some, seed in ((texts, settings.seed), (held_out, None))
        )
    else:
        k2 = settings.k2 or settings.k1
        joined, dev = ([join(map(encode, lines)) for lines in some.values()] for some in (texts, held_out))
        seen = Streams(
            joined, settings.streams, settings.k1, k2, _values(model, list(texts)), seed=settings.seed
        )
        side_by_side = max(len(dev), min(settings.streams, sum(map(len, dev)) // DEV_STREAM))
        unseen = Streams(dev, side_by_side, DEV_STEPS, values=_values(model, list(held_out)))
        model.truncation = Truncation(settings.k1, k2)
    rank, ranks = fabric.global_rank, fabric.world_size
    train, dev_loader = (BatchLoader(some, rank=rank, ranks=ranks, plan=some.plan) for some in (seen, unseen))
    return Data(train, dev_loader, divisible=settings.k1 == 0)


def _values(model: LanguageModel, labels: Sequence[str]) -> list[np.ndarray] | None:
    return [model.as_values(label) for label in labels] if model.conditions else None


def _described(texts: Texts) -> str:
    """Return the number of lines and a hash of them and their labels."""
    digest = hashlib.sha256()
    for label, lines in texts.items():
        digest.update("\n".join([label, *lines, ""]).encode())
    return f"{sum(map(len, texts.values()))} lines, {digest.hexdigest()[:16]}"


def _card(arguments: LanguageModelTrainFlags, texts: Texts) -> dict[str, Any]:
    digest = hashlib.sha256()
    for label, lines in texts.items():
        digest.update("\n".join([label, *lines, ""]).encode())
    settings = dataclasses.asdict(arguments.settings)
    return {
        **provenance(),
        "training_data": ["/".join(Path(path).parts[-2:]) for path in arguments.texts],
        "training_data_hash": digest.hexdigest()[:16],
        "lines": sum(map(len, texts.values())),
        "characters": sum(len(line) for lines in texts.values() for line in lines),
        "training": {name: value for name, value in settings.items() if name not in ("run", "network")},
    }
