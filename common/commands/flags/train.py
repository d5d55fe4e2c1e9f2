"""The flags of the verb train: the settings of a run, and how its command line spells them."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from common.command_line.flag import Flag, Flat, Positional
from common.commands.flags.shared import Corpus, UnicodeForm
from common.recognition.configuration import EncoderConfig, HeadConfig
from common.recognition.modality import Modality
from common.training.configuration import RunConfig, TrainingConfig


def _front_end_config(modality: Modality) -> type:
    return modality.training().front_end_config


def _augment_config(modality: Modality) -> type:
    return modality.training().augment_config


def _signal_config(modality: Modality) -> type:
    return modality.signal_config


@dataclass(frozen=True, kw_only=True)
class TrainFlags(RunConfig):
    """Learn from transcribed examples; the best model is written to RUN/best.safetensors."""

    train: Positional[str]
    dev: Positional[str]
    unicode_form: Annotated[UnicodeForm | None, Flag(default="that of --start-from, else NFC")] = None
    training: Flat[TrainingConfig] = field(default_factory=TrainingConfig)
    encoder: Flat[EncoderConfig] = field(default_factory=EncoderConfig)
    head: Flat[HeadConfig] = field(default_factory=HeadConfig)
    front_end: Annotated[Any, Flag(flat=True, kind=_front_end_config)]
    signal: Annotated[Any, Flag(flat=True, kind=_signal_config)]
    corpus: Corpus
    augment: Annotated[Any, Flag(kind=_augment_config)]
