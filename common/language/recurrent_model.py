"""Recurrent language models as NumPy computes them: text is searched for and rescored without torch.

    state (N, W)   of each layer its hidden units, then of LSTMs their memory, one layer after the other
    step           states, labels -> states after them, log-probabilities (N, C) of what comes next

Training, and the equations, are in `common.network.language_model` and `common.network.recurrent`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from common.files.model_file import read_model
from common.language.recurrent_layer import WEIGHT_NAMES, RecurrentLayer
from common.text.vocabulary import END_LABEL, Vocabulary

MODALITY = "language model"
"""what the header of such a model file names"""
TEXTS_PER_BATCH = 256
REMEMBERED = 200_000
"""texts whose scores are kept, for a search that meets them again and again, as tuning does"""
HEADER = "header"
"""the array that keeps the header where a model is part of another file"""


@dataclass(frozen=True)
class LanguageModelConfig:
    """The network of a recurrent language model."""

    cell: Literal["lstm", "gru", "rnn_tanh", "rnn_relu"] = "lstm"
    """Kind of recurrent cell."""
    hidden_size: int = 512
    """Units of a layer."""
    layers: int = 1
    """Recurrent layers, one upon the other."""
    embedding_size: int = 64
    """Numbers that stand for a character or word."""
    dropout: float = 0.0
    """Share of units silenced before, between and behind the layers while training."""
    residual: bool = False
    """Add each layer's normalised input to its output."""
    tied: bool = False
    """Foretell with the same numbers for each character or word that it is read by."""
    condition: Literal["none", "first", "every"] = "none"
    """Where a label of the text enters: it makes the first state, or is added to the input at every step."""
    condition_size: int = 0
    """Numbers of a condition that is a vector; 0: it is one of the model's labels."""

    def __post_init__(self) -> None:
        if self.condition not in ("none", "first", "every"):
            raise ValueError(f"condition is {self.condition!r}; choose none, first or every")
        if self.embedding_size < 1 or self.condition_size < 0:
            raise ValueError(
                f"embedding_size is {self.embedding_size} and condition_size {self.condition_size};"
                " give 1 or more, and 0 or more"
            )


class ModelContent(NamedTuple):
    """What the file of a recurrent language model holds."""

    config: LanguageModelConfig
    vocabulary: Vocabulary
    conditions: tuple[str, ...]
    card: dict[str, Any]
    tensors: dict[str, np.ndarray]


def is_recurrent(path: str | Path) -> bool:
    """Return whether a file is one of safetensors, as recurrent models are, and not of n-grams."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(9)
    except OSError:
        return False  # what reads it says why
    return start[8:9] == b"{"


def read_language_model(path: str | Path) -> ModelContent:
    """Return what a model file holds; ValueError if it is of another kind, or damaged."""
    header, tensors = read_model(path)
    if header.get("modality") != MODALITY:
        raise ValueError(
            f"{path}: a model for `{header.get('modality')}`, where a language model was wanted;"
            " train one with `lm train --recurrent`"
        )
    return parse_content(header, tensors, str(path))


def parse_content(header: Mapping[str, Any], tensors: dict[str, np.ndarray], name: str) -> ModelContent:
    """Return what a header and tensors describe; ValueError that names the file if they do not."""
    try:
        config = LanguageModelConfig(**header["config"])
        vocabulary = Vocabulary.from_dict(header)
        return ModelContent(config, vocabulary, tuple(header["conditions"]), header["card"], tensors)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{name}: does not describe a model this version can build ({error})") from error


def to_header(
    config: LanguageModelConfig, vocabulary: Vocabulary, conditions: Sequence[str], card: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the header of the model file."""
    own = {"modality": MODALITY, "config": asdict(config), "conditions": list(conditions), "card": dict(card)}
    return own | vocabulary.to_dict()


class RecurrentModel:
    """A recurrent language model, to be asked step by step.

    Args:
        parts: what its file holds.
        condition: one of its conditions, where it was trained with some.

    Attributes:
        vocabulary: what its labels stand for.
        width: W, numbers of a state.

    Raises:
        ValueError: weights that are missing or do not fit, or a condition that is missing or unknown.
    """

    def __init__(self, parts: ModelContent, condition: str | None = None) -> None:
        self.parts, self.condition = parts, condition
        self.config, self.vocabulary = parts.config, parts.vocabulary
        self._scores: dict[str, float] = {}
        lstm = self.config.cell == "lstm"
        self.width = self.config.layers * self.config.hidden_size * (2 if lstm else 1)
        try:
            self._build()
        except KeyError as error:
            raise ValueError(f"language model: its weight {error} is missing; train it again") from None

    @classmethod
    def load(cls, path: str | Path, condition: str | None = None) -> Self:
        """Return the model in a file."""
        try:
            return cls(read_language_model(path), condition)
        except ValueError as error:
            raise ValueError(str(error) if str(path) in str(error) else f"{path}: {error}") from None

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what `from_arrays` makes the same model of, to be kept in another file."""
        header = to_header(self.config, self.vocabulary, self.parts.conditions, self.parts.card)
        text = json.dumps({**header, "spoken": self.condition}, ensure_ascii=False)
        return {**self.parts.tensors, HEADER: np.frombuffer(text.encode(), np.uint8)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the model that `to_arrays` has described."""
        header = json.loads(arrays[HEADER].tobytes())
        tensors = {name: array for name, array in arrays.items() if name != HEADER}
        return cls(parse_content(header, tensors, "the language model inside"), header["spoken"])

    @property
    def unit(self) -> str:
        """What a label stands for: "character" or "word"."""
        return self.vocabulary.unit

    def id(self, token: str) -> int:
        """Return the label of a character or word, 0 if it is unknown."""
        label = self.vocabulary.labels.get(token, 0)
        return 0 if label == self.vocabulary.unknown_label else label

    def _build(self) -> None:
        tensors, config = self.parts.tensors, self.config
        given = self._given()
        read = tensors["embedding.weight"] + (given if config.condition == "every" else 0)  # (C, D)
        if config.residual and "encoder.entry.weight" in tensors:
            read = read @ tensors["encoder.entry.weight"].T + tensors["encoder.entry.bias"]
        self._layers = []
        for depth in range(config.layers):
            name = f"encoder.forwards.{depth}."
            weights = [tensors[f"{name}{kind}_l0"] for kind in WEIGHT_NAMES]
            norms = [
                tensors[f"encoder.norms.{depth}.{kind}"] for kind in ("weight", "bias") if config.residual
            ]
            self._layers.append(RecurrentLayer(config.cell, weights, norms))
        self._read = read  # (C, D): what each label is to the first layer
        self._driven = self._layers[0].drive(read)  # (C, gates x H): the labels through its first matrix
        head = tensors["embedding.weight"] if config.tied else tensors["head.weight"]
        bias = tensors["bias"] if config.tied else tensors["head.bias"]
        if config.tied and "projection.weight" in tensors:
            bias = bias + head @ tensors["projection.bias"]
            head = head @ tensors["projection.weight"]
        self._head, self._bias = np.ascontiguousarray(head.T), bias  # (H, C), (C,)
        self._first = np.zeros((1, self.width), np.float32)
        if config.condition == "first":
            bridged = given @ tensors["bridge.weight"].T + tensors["bridge.bias"]
            parts = bridged.reshape(-1, config.layers, config.hidden_size)  # hidden and, of LSTMs, memory
            self._first = np.tanh(parts).swapaxes(0, 1).reshape(1, -1)

    def _given(self) -> np.ndarray:
        """Return what stands for the condition (D,)."""
        names = self.parts.conditions
        if self.config.condition == "none":
            if self.condition is not None:
                raise ValueError(f"no label {self.condition!r}: this language model has none; leave it out")
            return np.zeros(self.config.embedding_size, np.float32)
        if self.config.condition_size:
            raise ValueError("this language model wants a vector with each text; it cannot be used here")
        if self.condition not in names:
            raise ValueError(
                f"label {self.condition}: this language model was trained with {', '.join(names)};"
                " give one of them, or take a model without labels"
            )
        return self.parts.tensors["condition.weight"][names.index(self.condition)]

    def start(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the state (1, W) at the start of a text, and log-probabilities (1, C) there."""
        return self.step(self._first, np.array([END_LABEL]))

    def step(self, states: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return states (N, W) after `labels` (N,) were read in `states`, and log-probabilities (N, C)."""
        H, after = self.config.hidden_size, np.empty_like(states)
        each = self.width // self.config.layers
        value, driven = self._read[labels], self._driven[labels]
        for depth, layer in enumerate(self._layers):
            old, new = (part[:, depth * each : (depth + 1) * each] for part in (states, after))
            layer.step(driven if depth == 0 else layer.drive(value), old, new)
            value = value + new[:, :H] if self.config.residual else new[:, :H]
        logits = value @ self._head + self._bias  # (N, C)
        logits -= logits.max(1, keepdims=True)
        return after, logits - np.log(np.exp(logits).sum(1, keepdims=True))

    def log_probs(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the natural log-probabilities (L + 1,) of the labels of each text, its end among them."""
        labels = [np.array([*self.vocabulary.encode(text), END_LABEL]) for text in texts]
        found = [np.zeros(len(one)) for one in labels]
        order = sorted(range(len(texts)), key=lambda place: -len(labels[place]))
        for first in range(0, len(order), TEXTS_PER_BATCH):
            some = np.array(order[first : first + TEXTS_PER_BATCH])
            states, rows = self.start()
            group = np.zeros(len(some), np.int64)  # of each text: those that are alike so far are one
            for step in range(len(labels[some[0]])):
                some = some[: sum(len(labels[place]) > step for place in some)]  # the longest are first
                now = np.array([labels[place][step] for place in some])
                pairs = group[: len(some)] * self.vocabulary.classes + now
                for place, value in zip(some, rows[group[: len(some)], now], strict=True):
                    found[place][step] = value
                distinct, group = np.unique(pairs, return_inverse=True)
                before, label = np.divmod(distinct, self.vocabulary.classes)
                states, rows = self.step(states[before], label)
        return found

    def score(self, texts: Sequence[str]) -> np.ndarray:
        """Return the natural log-probability (N,) of each text with its end; known ones are remembered."""
        new = [text for text in dict.fromkeys(texts) if text not in self._scores]
        if len(self._scores) + len(new) > REMEMBERED:
            self._scores.clear()
            new = list(dict.fromkeys(texts))
        self._scores.update(zip(new, (float(one.sum()) for one in self.log_probs(new)), strict=True))
        return np.array([self._scores[text] for text in texts])
