"""`lm train --recurrent`: a recurrent language model is trained by the loop that trains all models."""

import dataclasses
import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

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
from common.training.optimisation import build_fabric, seed_everything
from common.training.preparation import described_symbols

log = logging.getLogger(__name__)

EVERY = 50
"""one of this many lines is held out if no other text is named to measure on"""
DEV_STEPS, DEV_STREAM = 256, 2000
"""of held-out text: steps that are read at a time, and labels for each further stream"""

Texts = Mapping[str, Sequence[str]]
"""lines by their label, which is "" if texts have none"""


def train_recurrent(
    arguments: LanguageModelTrainFlags, run: Path, texts: Texts, held_out: Texts, unicode_form: str
) -> Trainer:
    """Train a recurrent language model; return the Trainer in its final state.

    Args:
        arguments: the flags of `lm train`.
        run: the run folder.
        texts: training text.
        held_out: text to measure on; without any, a part of `texts` is held out.
        unicode_form: Unicode form of all texts.

    Raises:
        ValueError: a run folder in use without --resume, settings that differ on resuming, or held-out text
            that is too short or has other labels.
    """
    settings = arguments.settings
    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):  # importing them sets INFO
        logging.getLogger(name).setLevel(logging.WARNING)
    described = as_json(arguments)
    check_folder(run, settings.resume, described)
    texts, held_out = _split(texts, held_out)
    config = TrainingConfig(select=None, **_given(TrainingConfig, settings))
    fabric = build_fabric(config)
    seed_everything(settings.seed)
    model = _build(arguments, texts, unicode_form)
    data = _data(settings, model, texts, held_out)._replace(
        fingerprints={
            "texts": _described(texts),
            "held-out texts": _described(held_out),
            "symbols": described_symbols(model.vocabulary),
        }
    )
    trainer = Trainer(fabric, model, data, config, run, measure_bits)
    if settings.resume:
        trainer.resume()
    run.mkdir(parents=True, exist_ok=True)
    write_config(run, described)
    log.info(
        "%d lines to train on, %d to measure on; %d %ss%s; %s parameters; %s, %s, torch %s",
        sum(map(len, texts.values())),
        sum(map(len, held_out.values())),
        len(model.vocabulary.symbols),
        model.vocabulary.unit,
        f"; {model.config.condition}: {', '.join(model.conditions)}" if model.conditions else "",
        f"{model.parameter_count:,}",
        fabric.device,
        fabric._precision.precision,
        torch.__version__,
    )
    progress = trainer.fit()
    log.info(
        "best %s %s in epoch %d: %s",
        rate_name(progress.select),
        written_rate(progress.select, progress.best),
        progress.best_epoch + 1,
        run / "best.safetensors",
    )
    return trainer


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


def _data(settings: RecurrentSettings, model: LanguageModel, texts: Texts, held_out: Texts) -> Data:
    """Return the batches, and set the model's truncation of backpropagation for them."""
    encode = model.vocabulary.encode
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
        return Data(BatchLoader(seen, plan=seen.plan), BatchLoader(unseen, plan=unseen.plan))
    k2 = settings.k2 or settings.k1
    joined, dev = ([join(map(encode, lines)) for lines in some.values()] for some in (texts, held_out))
    streams = Streams(
        joined, settings.streams, settings.k1, k2, _values(model, list(texts)), seed=settings.seed
    )
    side_by_side = max(len(dev), min(settings.streams, sum(map(len, dev)) // DEV_STREAM))
    whole = Streams(dev, side_by_side, DEV_STEPS, values=_values(model, list(held_out)))
    model.truncation = Truncation(settings.k1, k2)
    return Data(BatchLoader(streams, plan=streams.plan), BatchLoader(whole, plan=whole.plan))


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
