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


@dataclass(frozen=True)
class TrainingFlags(TrainingConfig):
    """The settings of the training loop."""

    batch_budget: Annotated[float | None, Flag(default="{batch_budget:g}; on a GPU {gpu_batch_budget:g}")] = (
        None
    )
    """Padded length of one batch on each device, in seconds (asr) or line heights (ocr)."""
    workers: Annotated[int | None, Flag(default="0; on a GPU one for each core but two, 14 at most")] = None  # type: ignore[assignment]
    """Processes per device that read ahead; 0, best on few cores, reads inline."""


@dataclass(frozen=True)
class EncoderFlags(EncoderConfig):
    """The recurrent network between front end and head."""

    hidden_size: Annotated[int | None, Flag(default="192; on a GPU 256")] = None  # type: ignore[assignment]
    """Units of one direction of one layer; a GPU is fastest with multiples of 128."""


@dataclass(frozen=True, kw_only=True)
class TrainFlags(RunConfig):
    """Learn from transcribed examples; the best model is written to RUN/best.safetensors."""

    train: Positional[str]
    dev: Positional[str]
    unicode_form: Annotated[UnicodeForm | None, Flag(default="that of --start-from, else NFC")] = None
    pronunciations: Annotated[str | None, Flag(default="that of --start-from, else characters")] = None
    training: Flat[TrainingFlags] = field(default_factory=TrainingFlags)
    encoder: Flat[EncoderFlags] = field(default_factory=EncoderFlags)
    head: Flat[HeadConfig] = field(default_factory=HeadConfig)
    front_end: Annotated[Any, Flag(flat=True, kind=_front_end_config)]
    signal: Annotated[Any, Flag(flat=True, kind=_signal_config)]
    corpus: Corpus
    augment: Annotated[Any, Flag(kind=_augment_config)]
