"""The settings that a recognizer is built from: signal, front end, encoder and head."""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from common.data.frame_targets import FrameLabels
from common.network.choices import Arrangement, Cell, Initialisation, Pooling
from common.recognition.modality import Modality


@dataclass(frozen=True)
class EncoderConfig:
    """The recurrent network between front end and head."""

    cell: Cell = "lstm"
    """Kind of recurrent cell."""
    hidden_size: int = 192
    """Units of one direction of one layer."""
    layers: int = 2
    """Number of stacked recurrent layers."""
    bidirectional: bool = True
    """Read in both directions; a model that reads in one direction can follow a stream."""
    dropout: float = 0.2
    """Share of units set to zero between layers and before the head during training."""
    residual: bool = False
    """Normalise the input of each layer and add the input to its output; for four layers and more."""
    initialisation: Initialisation = "uniform"
    """Initial weights: uniform as in torch, xavier (Glorot and Bengio 2010), orthogonal, identity."""
    forget_bias: float | None = None
    """Initial bias of the LSTM's forget gates; 1 makes memory last. None: that of the initialisation."""
    reverse_source: bool = False
    """Read backwards (Sutskever et al. 2014), so that the first steps are the most recent ones when an
    attention decoder starts; for encoders of one direction."""
    shortcut: bool = False
    """Train a second head on the front end (weight 0.1), which helps networks that start slowly."""
    intermediate_weight: float = 0.0
    """Train another head on the layer in the middle, and give its loss this share, that of the head the rest:
    intermediate CTC (Lee and Watanabe 2021), which takes 0.3. 0: no such head."""

    def __post_init__(self) -> None:
        if not 0 <= self.intermediate_weight < 1:
            raise ValueError(f"intermediate_weight is {self.intermediate_weight}; give 0 to less than 1")
        if self.intermediate_weight and self.layers < 2:
            raise ValueError(f"--intermediate-weight: needs two layers or more; --layers is {self.layers}")


@dataclass(frozen=True)
class HeadConfig:
    """The task, and the head on the encoder that learns it."""

    task: Literal["ctc", "attention", "frames", "classify"] = "ctc"
    """ctc: texts; attention: texts in any order, by a decoder; frames: a label for each step, from examples
    with the positions of their words; classify: one label for the whole, the text of the example."""
    frame_labels: FrameLabels = "words"
    """frames: what a step is labelled with; activity: whether the step is within a word."""
    pooling: Pooling = "attention"
    """classify: how the steps are combined into one vector."""
    arrangement: Arrangement = "location"
    """attention: what the decoder reads of the signal. first: a summary, as its initial state; every: the
    summary at every step; additive, dot, location: all steps, by attention."""
    decoder_size: int = 192
    """attention: hidden units of the decoder."""
    ctc_weight: float = 0.0
    """attention: share of the loss for a CTC head beside the decoder; 0 for no such head."""
    label_smoothing: float = 0.1
    """attention: share of the target probability that is spread over all labels (Szegedy et al. 2016)."""
    scheduled_sampling: float = 0.0
    """attention: how often the decoder reads its own prediction in training (Bengio et al. 2015)."""
    consistency_weight: float = 0.0
    """ctc: compute each batch twice with different masks and dropout, and add this weight times the
    difference between the two outputs to the loss: CR-CTC (Yao et al. 2024), which takes 0.2. 0: once."""

    def __post_init__(self) -> None:
        if not 0 <= self.consistency_weight < math.inf:
            raise ValueError(f"consistency_weight is {self.consistency_weight}; 0 or more is wanted")
        if self.consistency_weight and self.task != "ctc":
            raise ValueError(f"--consistency-weight: is for --task ctc; leave it out with {self.task}")
        for name in ("ctc_weight", "label_smoothing", "scheduled_sampling"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give a share, from 0 to 1")
        if self.label_smoothing == 1:
            raise ValueError("label_smoothing is 1, which leaves nothing to the target; give a share below 1")


@dataclass(frozen=True)
class ModelConfig:
    """All settings of a recognizer; with its alphabet they determine its structure."""

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
    """Return the frozen dataclass `kind` from JSON.

    A missing key has the default of its field, or else, if the field's metadata have one, the value
    "unstored": what models did before there was such a setting.

    Raises:
        TypeError: a key is unknown.
    """
    known = {one.name for one in fields(kind)}
    unknown = sorted(set(stored) - known)
    if unknown:
        raise TypeError(f"unknown setting {', '.join(unknown)} of {kind.__name__}")
    before = {one.name: one.metadata["unstored"] for one in fields(kind) if "unstored" in one.metadata}
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    return kind(**{**before, **given})
