"""One model or several that vote, by their names."""

import os
from collections.abc import Sequence
from functools import partial
from os import PathLike, fspath
from pathlib import Path

from common.recognition.loading import Device, load_recognizer, model_path
from common.recognition.modality import Modality
from common.recognition.passages.choosing import SecondModel
from common.recognition.transcriber import Transcriber

OneModel = str | PathLike[str] | None
Models = OneModel | Sequence[str | PathLike[str]]
"""the name of one model, or of several with commas between, or in a list; None: the default"""


def model_paths(modality: Modality, models: Models = None) -> list[Path]:
    """Return the file of each model; ValueError as of `model_path`."""
    return [model_path(modality, name) for name in _names(models)]


def load_models(
    modality: Modality, models: Models = None, device: Device = "auto", threads: int = 0
) -> Transcriber:
    """Return the recognizer of a model, or what several models elect together.

    Args:
        modality: modality of the models.
        models: names as of `load_recognizer`; several have commas between, unless a file has the whole name.
            None is the default, beside which are the second model of the modality, for what it is unsure of,
            and the one that spells.
        device: device for .safetensors models.
        threads: number of threads that compute a network; 0 for one for each core.

    Raises:
        ValueError: as of `load_recognizer`; models that cannot vote together.
    """
    names = _names(models)
    if len(names) == 1:
        recognizer = load_recognizer(modality, names[0], device, threads)
        if names[0] is None:
            recognizer.second = _other(modality, modality.second, device, threads)
            recognizer.spelling = _other(modality, modality.spelling, device, threads)
        return recognizer
    from common.recognition.voting.voters import Voters

    voters = [load_recognizer(modality, name, device, threads) for name in names]
    return Voters([str(name) for name in names], voters)


def _other(
    modality: Modality, name: str | None, device: Device, threads: int
) -> SecondModel[Transcriber] | None:
    """Return a bundled model that is loaded once it is wanted; a file of its name does not matter."""
    if name is None:
        return None
    return SecondModel(name, partial(load_recognizer, modality, modality.model_file(name), device, threads))


def _names(models: Models) -> Sequence[OneModel]:
    if models is None:
        return [None]
    if not isinstance(models, str | PathLike):
        names: Sequence[OneModel] = models
    elif os.path.exists(models):
        return [models]
    else:
        names = [part for part in fspath(models).split(",") if part]
    if not names:
        raise ValueError(f"{models!r} names no model; name a file, or several with commas between")
    return names
