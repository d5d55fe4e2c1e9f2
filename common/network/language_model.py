"""Recurrent language models: the probability of each character or word, given all the ones before it.

      0      t      h      e      label 0 is both the start and the end of a text
      |      |      |      |      embedding; with condition "every" the condition is added at each step
    [   recurrent encoder   ]     first state: zeros, or with condition "first" computed from the condition
      |      |      |      |      head
     t?     h?     e?     0?      probabilities of the next label

The model is trained on streams of text by truncated back-propagation through time (Williams and Peng 1990).
There is an update after every k1 steps. Its loss is that of the k1 newest steps, and its gradient reaches
back k2 steps. The state before those k2 steps is kept from earlier and not differentiated.

    k1 = 2, k2 = 4      a b c d e f g h
    update 3                |_ _ L L|         L: a step of the loss, _: a step run again for the gradient
    update 4                    |_ _ L L|     starts from the state after d, which update 3 computed
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from common.data.batching import Batch
from common.files.model_file import write_model
from common.language.recurrent_model import LanguageModelConfig, read_language_model, to_header
from common.network.recurrent import RecurrentEncoder, State
from common.text.symbols import Alphabet
from common.text.vocabulary import Vocabulary


class Truncation(NamedTuple):
    """Numbers of steps for truncated back-propagation through time.

    k1: new steps of one update, whose loss it takes.
    k2: steps back to which the gradient reaches; a multiple of k1.
    """

    k1: int
    k2: int


class LanguageModel(nn.Module):
    """A recurrent language model over characters or words.

    Args:
        config: the shape of the network.
        vocabulary: the characters or words and their labels.
        conditions: names of the classes of texts, if the model is told the class of each text.
        card: facts about the model, which its file keeps.

    Attributes:
        config, vocabulary, conditions, card: those arguments.
        truncation: set if the rows of a batch are windows of `Streams`, whose state is carried from batch to
            batch; None if they are whole texts, as `Lines` gives them.

    Raises:
        ValueError: a setting makes no sense, or `conditions` are given to a model that takes none or takes a
            vector, or are not given to one that takes names.
    """

    def __init__(
        self,
        config: LanguageModelConfig,
        vocabulary: Vocabulary,
        conditions: Sequence[str] = (),
        card: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        named = config.condition != "none" and not config.condition_size
        if named != bool(conditions):
            raise ValueError(
                f"condition is {config.condition!r} of size {config.condition_size}, and the labels of texts"
                f" are {', '.join(conditions) or 'none'}; both or neither are wanted"
            )
        self.config, self.vocabulary, self.conditions = config, vocabulary, tuple(conditions)
        self.card = dict(card or {})
        self.truncation: Truncation | None = None
        C, D, H = vocabulary.classes, config.embedding_size, config.hidden_size
        self.embedding = nn.Embedding(C, D)
        self.encoder = RecurrentEncoder(
            D, H, config.layers, config.cell, False, config.dropout, config.residual
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = None if config.tied else nn.Linear(H, C)
        self.projection = nn.Linear(H, D) if config.tied and H != D else None
        self.bias = nn.Parameter(torch.zeros(C)) if config.tied else None
        if config.tied:
            nn.init.normal_(self.embedding.weight, std=D**-0.5)  # else the first logits are far apart
        self.condition: nn.Module | None = None
        if config.condition != "none":
            size = config.condition_size
            self.condition = nn.Linear(size, D) if size else nn.Embedding(len(conditions), D)
        parts = 2 if config.cell == "lstm" else 1
        self.bridge = nn.Linear(D, parts * config.layers * H) if config.condition == "first" else None
        self._carried: State | None = None

    @property
    def alphabet(self) -> Alphabet:
        """The characters of the vocabulary, and the Unicode form of texts."""
        return self.vocabulary.alphabet

    @property
    def parameter_count(self) -> int:
        """The number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.embedding.weight.device

    # --- the network

    def forward(
        self, labels: Tensor, lengths: Tensor, state: State | None = None, condition: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Return the log-probabilities of the label after each label, and the state after the last ones.

        Args:
            labels: (B, T) int64; a text begins with 0.
            lengths: (B,) integers from 1 to T.
            state: the state after an earlier piece of the same texts; None at their start.
            condition: (B,) int64 indices into `conditions`, or (B, F) vectors; None if the model takes none.

        Returns:
            Natural log-probabilities (B, T, C), and the state after step `lengths` of each row.

        Raises:
            ValueError: a condition is missing, or is given to a model that takes none.
        """
        given = self._given(condition)
        embedded = self._embed(labels, given)  # (B, T, D)
        state = self._start(given) if state is None else state
        encoded, _, state = self.encoder(embedded, lengths, state, keep_state=True)  # (B, T, H)
        assert state is not None, "it was asked for"
        return self._classify(encoded), state

    def _given(self, condition: Tensor | None) -> Tensor | None:
        """Return the embedding (B, D) of the condition, or None for a model that takes none."""
        if (condition is None) != (self.condition is None):
            wants = "wants one for each text" if self.condition is not None else "takes none"
            raise ValueError(f"condition: this language model {wants}, and {condition!r} came")
        return self.condition(condition) if self.condition is not None else None

    def _embed(self, labels: Tensor, given: Tensor | None) -> Tensor:
        """Return the encoder's input (B, T, D) for labels (B, T)."""
        embedded = self.embedding(labels)  # (B, T, D)
        if given is not None and self.config.condition == "every":
            embedded = embedded + given.unsqueeze(1)
        return self.dropout(embedded)

    def _start(self, given: Tensor | None) -> State | None:
        """Return the first state; None stands for zeros."""
        if self.bridge is None or given is None:
            return None
        layers, H = self.config.layers, self.config.hidden_size
        parts = self.bridge(given).tanh().reshape(len(given), -1, layers, H)
        hidden, *memory = (part.contiguous() for part in parts.permute(1, 2, 0, 3))  # (layers, B, H) each
        return State(hidden, *memory)

    def _run(self, embedded: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Return encoded (B, T, H) and the state after step T; padding is read like real steps."""
        whole = torch.full((len(embedded),), embedded.shape[1])
        state = _each(state, lambda part: part.to(embedded.device)) if state is not None else None
        encoded, _, state = self.encoder(embedded, whole, state, keep_state=True)
        assert state is not None, "it was asked for"
        return encoded, state

    def _classify(self, encoded: Tensor) -> Tensor:
        """Return log-probabilities (B, T, C), in float32 or wider, of encoded (B, T, H)."""
        encoded = self.dropout(encoded)
        if self.head is not None:
            logits = self.head(encoded)
        else:
            projected = encoded if self.projection is None else self.projection(encoded)
            logits = functional.linear(projected, self.embedding.weight, self.bias)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)

    # --- training

    @property
    def carried(self) -> dict[str, Tensor]:
        """The state between batches, which a checkpoint keeps; empty if the next batch starts new streams."""
        if self._carried is None:
            return {}
        return {name: part for name, part in self._carried._asdict().items() if part is not None}

    @carried.setter
    def carried(self, parts: dict[str, Tensor]) -> None:
        self._carried = State(**parts) if parts else None

    def losses(self, batch: Batch) -> tuple[Tensor, int]:
        """Return the sum over the rows of their mean loss per label, and 0, because no target is impossible.

        Args:
            batch: from `Streams`, in the order of the epoch, or from `Lines`; `signals` hold the conditions.
        """
        labels, steps = batch.targets, batch.target_lengths - 1
        given = self._given(self.as_condition(batch.signals))
        embedded, targets = self._embed(labels[:, :-1], given), labels[:, 1:]  # (B, T, D), (B, T)
        if self.truncation is None:
            encoded, _ = self._run(embedded, self._start(given))
            return (label_losses(self._classify(encoded), targets, steps).sum(1) / steps).sum(), 0
        k1, k2 = self.truncation
        if starts_streams(batch):
            self._carried = None
        state = self._start(given) if self._carried is None else self._carried
        pieces: list[Tensor] = []
        for part in embedded.split([k1, embedded.shape[1] - k1], 1):
            if not part.shape[1]:
                continue
            encoded, state = self._run(part, state)
            if not pieces:  # a window shorter than k2 starts with its stream, and so does the next
                self._carried = _each(state, _settled) if embedded.shape[1] == k2 else None
            pieces.append(encoded)
        newest = torch.cat(pieces, 1)[:, -k1:]  # (B, k1, H)
        log_probs = self._classify(newest)
        return label_losses(log_probs, targets[:, -k1:], steps.clamp(max=k1)).mean(1).sum(), 0

    def as_condition(self, values: Tensor) -> Tensor | None:
        """Return `forward`'s condition, (B,) int64 or (B, F), from a batch's values (B, 1) or (B, F)."""
        if not values.shape[1]:
            return None
        return values if self.config.condition_size else values[:, 0].long()

    def as_values(self, condition: Any) -> np.ndarray:
        """Return the values of a data item with this condition: (1,), its index in `conditions`, or (F,).

        Raises:
            ValueError: the model has no such condition.
        """
        if self.config.condition_size:
            return np.asarray(condition, np.float32)
        if condition not in self.conditions:
            known = ", ".join(self.conditions) or "none"
            raise ValueError(f"label {condition!r}: this language model was trained with {known}; name one")
        return np.array([self.conditions.index(condition)], np.float32)

    # --- files

    def save(self, path: Path) -> None:
        """Write the model file: the weights, and what is needed to rebuild and describe the model."""
        tensors = {name: tensor.detach().cpu().numpy() for name, tensor in self.state_dict().items()}
        write_model(path, tensors, to_header(self.config, self.vocabulary, self.conditions, self.card))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the language model in a file, in evaluation mode.

        Raises:
            ValueError: the file is of another kind, is cut short, or has an unknown setting.
        """
        config, vocabulary, conditions, card, tensors = read_language_model(path)
        try:
            model = cls(config, vocabulary, conditions, card)
            model.load_state_dict({name: torch.from_numpy(one) for name, one in tensors.items()})
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{path}: does not describe a model this version can build ({reason})"
            ) from error
        return model.eval()


def label_losses(log_probs: Tensor, targets: Tensor, steps: Tensor) -> Tensor:
    """Return minus the log-probability (B, T) of each target, and 0 from step `steps` on.

    Args:
        log_probs: (B, T, C).
        targets: (B, T) int64.
        steps: (B,) real targets.
    """
    losses = -log_probs.gather(2, targets.unsqueeze(2)).squeeze(2)
    padding = torch.arange(targets.shape[1], device=targets.device) >= steps.unsqueeze(1)
    return losses.masked_fill(padding, 0.0)


def starts_streams(batch: Batch) -> bool:
    """Return whether the rows of a batch of `Streams` are the first windows of their streams.

    `Streams` numbers the first windows first, and there are as many of them as rows.
    """
    return batch.indices[0] < batch.planned


def _each(state: State, change: Callable[[Tensor], Tensor]) -> State:
    return State(change(state.hidden), None if state.memory is None else change(state.memory))


def _settled(part: Tensor) -> Tensor:
    """Return part of a state without its gradient history.

    Values that are not finite become 0. The update is skipped then, but the next one starts from this state.
    """
    return part.detach().nan_to_num(0.0, 0.0, 0.0)
