"""Recurrent language models in NumPy: the beam search and rescoring use them without torch.

    state (N, W)   for each layer in turn: its hidden units, then, for an LSTM, its memory
    step           states, labels -> next states (N, W), log-probabilities (N, C) of the next label

Training is in `common.network.language_model`, and the equations are in `common.network.recurrent`.
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
"""modality in the header of such a model file"""
TEXTS_PER_BATCH = 256
REMEMBERED = 200_000
"""number of texts whose scores are cached, since tuning scores the same texts many times"""
HEADER = "header"
"""name of the array that holds the header if the model is part of another file"""


@dataclass(frozen=True)
class LanguageModelConfig:
    """The network of a recurrent language model."""

    cell: Literal["lstm", "gru", "rnn_tanh", "rnn_relu"] = "lstm"
    """Kind of recurrent cell."""
    hidden_size: int = 512
    """Units of a layer."""
    layers: int = 1
    """Number of recurrent layers."""
    embedding_size: int = 64
    """Size of the embedding of a character or word."""
    dropout: float = 0.0
    """Dropout probability before, between and after the layers during training."""
    residual: bool = False
    """Normalise the input of each layer, and add the input itself to the output of the layer."""
    tied: bool = False
    """Use the input embeddings as the weights of the output layer, too."""
    condition: Literal["none", "first", "every"] = "none"
    """Where the condition of a text enters: it makes the first state, or is added to each step's input."""
    condition_size: int = 0
    """Size of a condition that is a vector; 0: the condition is one of a set of names."""

    def __post_init__(self) -> None:
        if self.condition not in ("none", "first", "every"):
            raise ValueError(f"condition is {self.condition!r}; choose none, first or every")
        if self.embedding_size < 1 or self.condition_size < 0:
            raise ValueError(
                f"embedding_size is {self.embedding_size} and condition_size {self.condition_size};"
                " give 1 or more, and 0 or more"
            )


class ModelContent(NamedTuple):
    """The content of a recurrent language model's file."""

    config: LanguageModelConfig
    vocabulary: Vocabulary
    conditions: tuple[str, ...]
    card: dict[str, Any]
    tensors: dict[str, np.ndarray]


def is_recurrent(path: str | Path) -> bool:
    """Return whether a file is a recurrent model, that is, in the safetensors format and not n-grams."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(9)
    except OSError:
        return False  # whoever reads the file reports the error
    return start[8:9] == b"{"


def read_language_model(path: str | Path) -> ModelContent:
    """Return the content of a model file; raise ValueError if it is of another kind or damaged."""
    header, tensors = read_model(path)
    if header.get("modality") != MODALITY:
        raise ValueError(
            f"{path}: a model for `{header.get('modality')}`, where a language model was wanted;"
            " train one with `lm train --recurrent`"
        )
    return parse_content(header, tensors, str(path))


def parse_content(header: Mapping[str, Any], tensors: dict[str, np.ndarray], name: str) -> ModelContent:
    """Return the content that a header and tensors describe.

    Raises:
        ValueError: they describe no model; the message starts with `name`.
    """
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
    """A recurrent language model that is evaluated step by step.

    Args:
        parts: the content of its file.
        condition: one of the conditions that it was trained with; None if there were none.

    Attributes:
        vocabulary: the characters or words of its labels.
        width: W, the size of a state.

    Raises:
        ValueError: a weight or the condition is missing, or the condition is unknown.
    """

    def __init__(self, parts: ModelContent, condition: str | None = None) -> None:
        self.parts, self.condition = parts, condition
        self.config, self.vocabulary = parts.config, parts.vocabulary
        self._scores: dict[str, float | None] = {}
        lstm = self.config.cell == "lstm"
        self.width = self.config.layers * self.config.hidden_size * (2 if lstm else 1)
        try:
            self._build()
        except KeyError as error:
            raise ValueError(f"language model: its weight {error} is missing; train it again") from None

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how a copy is made, in another process, too: from the content of the file."""
        return type(self), (self.parts, self.condition)

    @classmethod
    def load(cls, path: str | Path, condition: str | None = None) -> Self:
        """Return the model in a file."""
        try:
            return cls(read_language_model(path), condition)
        except ValueError as error:
            raise ValueError(str(error) if str(path) in str(error) else f"{path}: {error}") from None

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return arrays from which `from_arrays` makes the same model, for storage in another file."""
        header = to_header(self.config, self.vocabulary, self.parts.conditions, self.parts.card)
        text = json.dumps({**header, "spoken": self.condition}, ensure_ascii=False)
        return {**self.parts.tensors, HEADER: np.frombuffer(text.encode(), np.uint8)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the model of arrays that `to_arrays` returned."""
        header = json.loads(arrays[HEADER].tobytes())
        tensors = {name: array for name, array in arrays.items() if name != HEADER}
        return cls(parse_content(header, tensors, "the language model inside"), header["spoken"])

    @property
    def unit(self) -> str:
        """The unit of a label: "character" or "word"."""
        return self.vocabulary.unit

    def id(self, token: str) -> int:
        """Return the label of a character or word; 0 if it is unknown."""
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
        self._read = read  # (C, D): the input of the first layer for each label
        self._driven = self._layers[0].drive(read)  # (C, gates x H): their part of its gates
        head = tensors["embedding.weight"] if config.tied else tensors["head.weight"]
        bias = tensors["bias"] if config.tied else tensors["head.bias"]
        if config.tied and "projection.weight" in tensors:
            bias = bias + head @ tensors["projection.bias"]
            head = head @ tensors["projection.weight"]
        self._head, self._bias = np.ascontiguousarray(head.T), bias  # (H, C), (C,)
        self._first = np.zeros((1, self.width), np.float32)
        if config.condition == "first":
            bridged = given @ tensors["bridge.weight"].T + tensors["bridge.bias"]
            parts = bridged.reshape(
                -1, config.layers, config.hidden_size
            )  # hidden units and, for an LSTM, memory
            self._first = np.tanh(parts).swapaxes(0, 1).reshape(1, -1)

    def _given(self) -> np.ndarray:
        """Return the embedding of the condition (D,); zeros if the model has no conditions."""
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
        """Return the state (1, W) at the start of a text, and log-probabilities (1, C) of the first label."""
        return self.step(self._first, np.array([END_LABEL]))

    def step(self, states: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the states (N, W) after `labels` (N,), and log-probabilities (N, C) of the next label.

        Args:
            states: (N, W) before the labels.
            labels: (N,) integers.
        """
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
        """Return the natural log-probabilities (L + 1,) of the labels of each text and of its end."""
        labels = [np.array([*self.vocabulary.encode(text), END_LABEL]) for text in texts]
        found = [np.zeros(len(one)) for one in labels]
        order = sorted(range(len(texts)), key=lambda place: -len(labels[place]))
        for first in range(0, len(order), TEXTS_PER_BATCH):
            some = np.array(order[first : first + TEXTS_PER_BATCH])
            states, rows = self.start()
            group = np.zeros(len(some), np.int64)  # of each text; texts that are equal so far share one
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
        """Return the natural log-probability (N,) of each text with its end; scores are cached."""
        known = {text: self._scores.get(text) for text in texts}
        new = [text for text, score in known.items() if score is None]
        known.update(zip(new, (float(one.sum()) for one in self.log_probs(new)), strict=True))
        if len(self._scores) + len(new) > REMEMBERED:
            self._scores = {}  # not emptied in place: another thread may be adding to it
        self._scores.update(known)
        return np.array([known[text] for text in texts])
