"""A recognizer: front end, encoder, CTC head and alphabet in one, that transcribes, and lives in one file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from common.alphabet import Alphabet
from common.batching import pad, plan_batches
from common.decoding.greedy import greedy
from common.heads import CTCHead
from common.modality import Modality, Signal, Source
from common.model_file import read_model, write_model
from common.recurrent import RecurrentEncoder
from common.transcript import Character, Transcript


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
    """A second CTC head on the front end (weight 0.1), in training only: helps deep or slow starters."""


@dataclass(frozen=True)
class ModelConfig:
    """Everything a recognizer is built from, beside its alphabet."""

    signal: Any
    front_end: Any
    encoder: EncoderConfig


class Recognizer(nn.Module):
    """Signals in, log-probabilities or transcripts out.

    Attributes:
        modality, config, alphabet: what it was built from.
        card: facts about the model (training data, metrics, licence ...), kept in its file.
    """

    def __init__(
        self, modality: Modality, config: ModelConfig, alphabet: Alphabet, card: dict[str, Any] | None = None
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
        self.head = CTCHead(self.encoder.output_size, alphabet.classes, encoder.dropout)
        self.shortcut = CTCHead(D, alphabet.classes) if encoder.shortcut else None

    @property
    def parameter_count(self) -> int:
        """How many numbers training adjusts."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return log-probabilities (B, S, C), lengths (B,), and the shortcut's (B, S, C) while training.

        Args:
            signals: (B, T) or (B, T, H), padded on the right.
            lengths: (B,) real steps of T.
        """
        features, lengths = self.front_end(signals, lengths)  # (B, S, D)
        shortcut = self.shortcut(features) if self.shortcut is not None and self.training else None
        encoded, lengths, _ = self.encoder(features, lengths)  # (B, S, E)
        return self.head(encoded), lengths, shortcut

    @torch.inference_mode()
    def log_probs(self, signals: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the log-probabilities (S, C) of each of `signals` (T, ...), computed as one batch."""
        device = self.head.linear.weight.device
        shortest = self.front_end.shortest
        padded, lengths = pad([_at_least(signal, shortest) for signal in signals])
        log_probs, steps, _ = self(padded.to(device), lengths.to(device))
        return [one[:length].cpu().numpy() for one, length in zip(log_probs, steps.tolist(), strict=True)]

    def transcribe(
        self, sources: Iterable[Source | Signal], batch_budget: float | None = None, window: int = 256
    ) -> Iterator[Transcript]:
        """Yield the transcript of each source, in their order.

        Args:
            sources: paths, open binary files, or signals already read under `config.signal`.
            batch_budget: padded length of one batch in the modality's length unit; None for its default.
            window: how many signals are read ahead to be sorted by length; bounds the memory.

        Raises:
            ValueError: for the first source that cannot be read.
        """
        self.eval()
        pending: list[tuple[str, Signal]] = []
        for source in sources:
            known = isinstance(source, Signal)
            signal = source if known else self.modality.read(source, self.config.signal)  # type: ignore[arg-type]
            name = source if isinstance(source, str | Path) else getattr(source, "name", "")
            pending.append((str(name), signal))  # type: ignore[arg-type]
            if len(pending) == window:
                yield from self._transcribe(pending, batch_budget)
                pending = []
        yield from self._transcribe(pending, batch_budget)

    def _transcribe(
        self, named: list[tuple[str, Signal]], batch_budget: float | None
    ) -> Iterator[Transcript]:
        if not named:
            return
        steps = np.array([len(signal.values) for _, signal in named], dtype=np.float64)
        budget = (
            self.modality.batch_budget if batch_budget is None else batch_budget
        ) * self.modality.steps_per_length(self.config.signal)
        done: dict[int, Transcript] = {}
        for batch in plan_batches(steps, budget):
            log_probs = self.log_probs([named[index][1].values for index in batch])
            for index, one in zip(batch.tolist(), log_probs, strict=True):
                source, signal = named[index]
                done[index] = self.transcript(one, signal, source)
        for index in range(len(named)):
            yield done[index]

    def transcript(self, log_probs: np.ndarray, signal: Signal, source: str = "") -> Transcript:
        """Return the greedy transcript of `log_probs` (S, C), positions in units of the original signal."""
        step = self.front_end.stride * signal.unit_per_step
        end = len(signal.values) * signal.unit_per_step
        collapse = (
            self.alphabet.whitespace == "collapse"
        )  # one space between words, as in the texts it learnt
        characters: list[Character] = []
        for hit in greedy(log_probs):
            text = self.alphabet.decode([hit.label])
            if collapse and text.isspace() and (not characters or characters[-1].text.isspace()):
                continue
            characters.append(Character(text, hit.start * step, min(hit.end * step, end), hit.confidence))
        if collapse and characters and characters[-1].text.isspace():
            characters.pop()
        return Transcript.from_characters(characters, source, self.modality.unit)

    def save(self, path: Path) -> None:
        """Write the model file: weights, and all that is needed to rebuild and describe the model."""
        tensors = {name: tensor.detach().cpu().numpy() for name, tensor in self.state_dict().items()}
        header = {
            "modality": self.modality.name,
            "config": asdict(self.config),
            "alphabet": self.alphabet.to_dict(),
            "card": self.card,
        }
        write_model(path, tensors, header)

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
            alphabet = Alphabet.from_dict(file.header["alphabet"])
            recognizer = cls(modality, config, alphabet, file.header.get("card"))
            tensors = {name: torch.from_numpy(tensor) for name, tensor in file.tensors.items()}
            recognizer.load_state_dict(tensors)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())  # torch names the weights that differ in later lines
            raise ValueError(
                f"{path}: does not describe a model this version can build ({reason})"
            ) from error
        return recognizer.eval()


def _config(modality: Modality, stored: dict[str, Any]) -> ModelConfig:
    kinds = {
        "signal": modality.signal_config,
        "front_end": modality.training().front_end_config,
        "encoder": EncoderConfig,
    }
    return ModelConfig(**{name: build_config(kinds[name], section) for name, section in stored.items()})


def build_config(kind: type, stored: dict[str, Any]) -> Any:
    """Return the frozen dataclass `kind` from JSON; an unknown key is an error, a missing one its default."""
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(stored) - known)
    if unknown:
        raise TypeError(f"unknown setting {', '.join(unknown)} of {kind.__name__}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()})


def _at_least(signal: np.ndarray, steps: int) -> np.ndarray:
    if len(signal) >= steps:
        return signal
    return np.pad(signal, [(0, steps - len(signal)), *[(0, 0)] * (signal.ndim - 1)])
