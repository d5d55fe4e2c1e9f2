"""A recognizer: front end, encoder, head and alphabet in one, that transcribes, and lives in one file."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from common.alphabet import Alphabet, Names, alphabet_from
from common.batch_plan import padded
from common.batching import Batch, BatchLoader
from common.decoding.arrays import Array
from common.decoding.decoder import Decoder
from common.decoding.labelled import LabelDecoder
from common.decoding.storage import decoder_from, decoder_tensors
from common.evaluation import measure
from common.frames import FrameLabels
from common.heads import CTCHead, FrameHead, Pooling, SequenceHead, head_outputs
from common.modality import Modality
from common.model_file import read_model, write_model
from common.recurrent import RecurrentEncoder
from common.transcriber import Transcriber

if TYPE_CHECKING:
    from lightning.fabric import Fabric  # takes seconds to import

SHORTCUT_WEIGHT = 0.1


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
    shortcut: bool = False
    """A second head on the front end (weight 0.1), in training only: helps deep or slow starters."""


@dataclass(frozen=True)
class HeadConfig:
    """What is learnt, and what stands on the encoder for it."""

    task: Literal["ctc", "frames", "classify"] = "ctc"
    """ctc: texts; frames: a label for each step, of examples that say where their words are; classify: one
    label for the whole, which is the text of an example."""
    frame_labels: FrameLabels = "words"
    """frames: what a step is labelled with; activity: whether there is any word."""
    pooling: Pooling = "attention"
    """classify: how steps become one."""


@dataclass(frozen=True)
class ModelConfig:
    """Everything a recognizer is built from, beside its alphabet."""

    signal: Any
    front_end: Any
    encoder: EncoderConfig
    head: HeadConfig = field(default_factory=HeadConfig)


class Recognizer(nn.Module, Transcriber):
    """Signals in, log-probabilities or transcripts out.

    Attributes:
        modality, config, alphabet: what it was built from.
        card: facts about the model (training data, metrics, licence ...), kept in its file.
        decoder: what makes text of its log-probabilities, kept in its file with its language models.
    """

    def __init__(
        self,
        modality: Modality,
        config: ModelConfig,
        alphabet: Alphabet | Names,
        card: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        encoder = config.encoder
        self.modality, self.config, self.alphabet = modality, config, alphabet
        self.card = dict(card or {})
        self.front_end = modality.training().front_end(config.front_end, config.signal)
        D = self.front_end.feature_size
        self.encoder = RecurrentEncoder(
            D,
            encoder.hidden_size,
            encoder.layers,
            encoder.cell,
            encoder.bidirectional,
            encoder.dropout,
            encoder.residual,
        )
        self.head = _head(config, self.encoder.output_size, alphabet)
        self.shortcut: CTCHead | None = None
        if encoder.shortcut:
            if not isinstance(self.head, CTCHead):
                raise ValueError(f"--shortcut: --task {config.head.task} has a label to a sequence, no steps")
            self.shortcut = type(self.head)(D, alphabet.classes)
        self.decoder: Decoder | LabelDecoder
        if isinstance(alphabet, Names):
            self.decoder = LabelDecoder(alphabet, whole=config.head.task == "classify")
        else:
            self.decoder = Decoder(alphabet)
        self.carried: dict[str, Tensor] = {}

    @property
    def parameter_count(self) -> int:
        """How many numbers training adjusts."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities (B, S, C) and lengths (B,); S is 1 for a label to a sequence.

        Args:
            signals: (B, T) or (B, T, H), padded on the right.
            lengths: (B,) real steps of T.
        """
        features, lengths = self.front_end(signals, lengths)  # (B, S, D)
        encoded, lengths, _ = self.encoder(features, lengths)  # (B, S, E)
        return head_outputs(self.head, encoded, lengths)

    def losses(self, batch: Batch) -> tuple[Tensor, int]:
        """Return the sum of a batch's losses, and how many targets cannot be reached (they count zero)."""
        features, lengths = self.front_end(batch.signals, batch.lengths)  # (B, S, D)
        encoded, lengths, _ = self.encoder(features, lengths)  # (B, S, E)
        targets = (batch.targets, batch.target_lengths)
        total, impossible = self.head.losses(encoded, lengths, *targets)
        if self.shortcut is not None:
            aside, _ = self.shortcut.losses(features, lengths, *targets)
            total = (1 - SHORTCUT_WEIGHT) * total + SHORTCUT_WEIGHT * aside
        return total, impossible

    def measure(
        self, loader: BatchLoader, fabric: "Fabric | None" = None, refused: list[str] | None = None
    ) -> dict[str, tuple[float, float]]:
        """Return rates of errors as errors and their number at most, see `evaluation.measure`."""
        return measure(self, loader, fabric, refused)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    @property
    def task(self) -> str:
        """What it has learnt."""
        return self.config.head.task

    @property
    def frame_labels(self) -> FrameLabels:
        """What a step is labelled with, where the task is "frames"."""
        return self.config.head.frame_labels

    @property
    def signal_config(self) -> Any:
        """How signals are read for it."""
        return self.config.signal

    @property
    def stride(self) -> int:
        """Signal steps to one step of the log-probabilities."""
        return self.front_end.stride

    @property
    def offset(self) -> float:
        """Where the first step starts, in signal steps."""
        return getattr(self.front_end, "offset", 0)  # not every front end looks around the middle

    @torch.inference_mode()
    def batch_log_probs(self, signals: Sequence[np.ndarray]) -> tuple[Array, np.ndarray]:
        """Return log-probabilities (B, S, C) of `signals` (T, ...) and their lengths (B,), as one batch.

        They are a tensor where the model is on CUDA: the search then runs there. On the CPU it is faster
        without torch, and mps has no float64.
        """
        self.eval()
        together, lengths = padded(signals, self.front_end.shortest)
        log_probs, steps = self(
            torch.from_numpy(together).to(self.device), torch.from_numpy(lengths).to(self.device)
        )
        log_probs = log_probs.float()
        on_gpu = log_probs.device.type == "cuda"
        return log_probs if on_gpu else log_probs.cpu().numpy(), steps.cpu().numpy()

    def outputs(self, signals: Tensor, lengths: Tensor) -> Any:
        """Return what `hypotheses` wants of padded signals (B, T, ...), `lengths` (B,) steps long."""
        log_probs, steps = self(signals.to(self.device), lengths.to(self.device))
        return log_probs.float().cpu().numpy(), steps.cpu().numpy()

    def described(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what rebuilds and describes the model beside its weights: header, tensors of the decoder."""
        decoding, tensors = decoder_tensors(self.decoder)
        header = {
            "modality": self.modality.name,
            "config": asdict(self.config),
            "alphabet": self.alphabet.to_dict(),
            "card": self.card,
            "decoding": decoding,
        }
        return header, tensors

    def save(self, path: Path) -> None:
        """Write the model file: weights, and all that is needed to rebuild and describe the model."""
        tensors = {name: tensor.detach().cpu().numpy() for name, tensor in self.state_dict().items()}
        header, models = self.described()
        write_model(path, tensors | models, header)

    @classmethod
    def load(cls, modality: Modality, path: Path) -> "Recognizer":
        """Return the recognizer in a model file.

        Raises:
            ValueError: not a model file, cut short, of another modality, or with an unknown setting.
        """
        file = read_model(path)
        came = file.header.get("modality")
        if came != modality.name:
            raise ValueError(
                f"{path}: a model for `{came}`, where one for `{modality.name}` was wanted; use `{came}`"
            )
        try:
            config = _config(modality, file.header["config"])
            alphabet = alphabet_from(file.header["alphabet"])
            recognizer = cls(modality, config, alphabet, file.header.get("card"))
            decoder, weights = decoder_from(
                alphabet, file.header.get("decoding"), file.tensors, recognizer.task
            )
            recognizer.load_state_dict({name: torch.from_numpy(one) for name, one in weights.items()})
            recognizer.decoder = decoder
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())  # torch names the weights that differ in later lines
            raise ValueError(
                f"{path}: does not describe a model this version can build ({reason})"
            ) from error
        return recognizer.eval()


def _head(config: ModelConfig, E: int, alphabet: Alphabet | Names) -> CTCHead | SequenceHead:
    """Return the head for a task."""
    head, encoder = config.head, config.encoder
    if head.task == "classify":
        return SequenceHead(
            E, len(alphabet.symbols), head.pooling, encoder.bidirectional, dropout=encoder.dropout
        )
    kind = FrameHead if head.task == "frames" else CTCHead
    return kind(E, alphabet.classes, encoder.dropout)


def _config(modality: Modality, stored: dict[str, Any]) -> ModelConfig:
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
