"""What a recognizer is built from, beside its alphabet: the settings of its signal, network and task."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from common.data.frame_targets import FrameLabels
from common.network.attention_decoder import Arrangement
from common.network.heads import Pooling
from common.network.recurrent import Initialisation
from common.recognition.modality import Modality


@dataclass(frozen=True)
class EncoderConfig:
    """The recurrent network between front end and head."""

    cell: Literal["lstm", "gru", "rnn_tanh", "rnn_relu"] = "lstm"
    """Kind of recurrent cell."""
    hidden_size: int = 192
    """Units of one direction of one layer."""
    layers: int = 2
    """Recurrent layers, one upon the other."""
    bidirectional: bool = True
    """Read from the end, too; without it a model can follow a stream."""
    dropout: float = 0.2
    """Share of units silenced between layers and before the head while training."""
    residual: bool = False
    """Add each layer's normalised input to its output; for four layers and more."""
    initialisation: Initialisation = "uniform"
    """First weights: uniform as torch has them, xavier (Glorot and Bengio 2010), orthogonal, identity."""
    forget_bias: float | None = None
    """First bias of the LSTM's forget gates; 1 lets memory last. None: as the initialisation has it."""
    reverse_source: bool = False
    """Read backwards (Sutskever et al. 2014): what comes first is fresh in mind when an attention decoder
    begins; for one-directional encoders."""
    shortcut: bool = False
    """A second head on the front end (weight 0.1), in training only: helps deep or slow starters."""


@dataclass(frozen=True)
class HeadConfig:
    """What is learnt, and what stands on the encoder for it."""

    task: Literal["ctc", "attention", "frames", "classify"] = "ctc"
    """ctc: texts; attention: texts, in any order, by a decoder; frames: a label for each step, of examples
    that say where their words are; classify: one label for the whole, which is the text of an example."""
    frame_labels: FrameLabels = "words"
    """frames: what a step is labelled with; activity: whether there is any word."""
    pooling: Pooling = "attention"
    """classify: how steps become one."""
    arrangement: Arrangement = "location"
    """attention: what the decoder knows of the signal: first: its summary as the first state; every: that at
    every step; additive, dot, location: all of it, by attention."""
    decoder_size: int = 192
    """attention: units of the decoder."""
    ctc_weight: float = 0.0
    """attention: share of the loss for a CTC head beside the decoder; 0: none."""
    label_smoothing: float = 0.1
    """attention: share of the wanted probability that goes to all labels alike (Szegedy et al. 2016)."""
    scheduled_sampling: float = 0.0
    """attention: how often the decoder is fed its own label in training (Bengio et al. 2015)."""

    def __post_init__(self) -> None:
        for name in ("ctc_weight", "label_smoothing", "scheduled_sampling"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give a share, from 0 to 1")


@dataclass(frozen=True)
class ModelConfig:
    """Everything a recognizer is built from, beside its alphabet."""

    signal: Any
    front_end: Any
    encoder: EncoderConfig
    head: HeadConfig = field(default_factory=HeadConfig)


def model_config(modality: Modality, stored: dict[str, Any]) -> ModelConfig:
    """Return the configuration in the header of a model file."""
    kinds = {
        "signal": modality.signal_config,
        "front_end": modality.training().front_end_config,
        "encoder": EncoderConfig,
        "head": HeadConfig,
    }
    return ModelConfig(**{name: build_config(kinds[name], section) for name, section in stored.items()})


def build_config(kind: type, stored: dict[str, Any]) -> Any:
    """Return the frozen dataclass `kind` from JSON; an unknown key is an error, a missing one its default."""
    known = {one.name for one in fields(kind)}
    unknown = sorted(set(stored) - known)
    if unknown:
        raise TypeError(f"unknown setting {', '.join(unknown)} of {kind.__name__}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()})
