"""Recurrent language models: how likely each character or word is after all that came before.

      0      t      h      e      label 0 begins the text, and at last ends it
      |      |      |      |      embedding, to which a condition may be added at "every" step
    [   recurrent encoder   ]     from a state of zeros, or one made of the condition, which enters "first"
      |      |      |      |      head
     t?     h?     e?     0?      probabilities of what comes next

Trained on streams of text by truncated back-propagation through time (Williams and Peng 1990): an update
every k1 steps takes the loss of the k1 newest, and its gradient reaches back k2 steps. The state before those
is what it was; it is not differentiated.

    k1 = 2, k2 = 4      a b c d e f g h
    update 3                |_ _ L L|         L the loss, _ steps that are run again for the gradient
    update 4                    |_ _ L L|     begins with the state behind d, as update 3 left it
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from common.data.batching import Batch, BatchLoader
from common.data.text_streams import Lines, Streams, join
from common.files.model_file import write_model
from common.language.recurrent_model import LanguageModelConfig, read_language_model, to_header
from common.network.recurrent import RecurrentEncoder, State
from common.text.symbols import Alphabet
from common.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from lightning.fabric import Fabric  # takes seconds to import

LN2 = 0.6931471805599453
TEXTS_AT_ONCE, STEPS_AT_ONCE = 64, 256
"""when texts are measured"""
STREAM = 20_000
"""labels that are measured one after the other before it is worth a second stream"""


class Truncation(NamedTuple):
    """How far errors go back: the loss of `k1` new steps over `k2` steps, a multiple of k1."""

    k1: int
    k2: int


class LanguageModel(nn.Module):
    """A recurrent language model.

    Args:
        config: of the network.
        vocabulary: what it reads and writes.
        conditions: names of the classes that its texts are of, where it is told them.
        card: facts about the model, kept in its file.

    Attributes:
        config, vocabulary, conditions, card: those arguments.
        truncation: how the rows of a batch are trained on, as windows of `Streams` with the state carried
            from batch to batch; None: they are whole texts, as of `Lines`.

    Raises:
        ValueError: a setting that makes no sense, or conditions with a model that takes none or a vector.
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
            nn.init.normal_(self.embedding.weight, std=D**-0.5)  # else logits begin far apart
        self.condition: nn.Module | None = None
        if config.condition != "none":
            size = config.condition_size
            self.condition = nn.Linear(size, D) if size else nn.Embedding(len(conditions), D)
        parts = 2 if config.cell == "lstm" else 1
        self.bridge = nn.Linear(D, parts * config.layers * H) if config.condition == "first" else None
        self._carried: State | None = None

    @property
    def alphabet(self) -> Alphabet:
        """The characters it reads, or the form of its texts."""
        return self.vocabulary.alphabet

    @property
    def parameter_count(self) -> int:
        """How many numbers training adjusts."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.embedding.weight.device

    # --- the network

    def forward(
        self, labels: Tensor, lengths: Tensor, state: State | None = None, condition: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Return the log-probabilities (B, T, C) of what follows each label, and the state behind the last.

        Args:
            labels: (B, T) int64; a text begins with 0.
            lengths: (B,) integers from 1 to T.
            state: where an earlier piece of the same texts left off; None at their start.
            condition: (B,) int64 places among `conditions`, or (B, F) vectors; None where it takes none.

        Raises:
            ValueError: a condition that is missing or not wanted.
        """
        given = self._given(condition)
        embedded = self._embed(labels, given)  # (B, T, D)
        state = self._start(given) if state is None else state
        encoded, _, state = self.encoder(embedded, lengths, state, keep_state=True)  # (B, T, H)
        assert state is not None, "it was asked for"
        return self._classify(encoded), state

    def _given(self, condition: Tensor | None) -> Tensor | None:
        """Return what stands for the condition (B, D)."""
        if (condition is None) != (self.condition is None):
            wants = "wants one for each text" if self.condition is not None else "takes none"
            raise ValueError(f"condition: this language model {wants}, and {condition!r} came")
        return self.condition(condition) if self.condition is not None else None

    def _embed(self, labels: Tensor, given: Tensor | None) -> Tensor:
        embedded = self.embedding(labels)  # (B, T, D)
        if given is not None and self.config.condition == "every":
            embedded = embedded + given.unsqueeze(1)
        return self.dropout(embedded)

    def _start(self, given: Tensor | None) -> State | None:
        """Return the first state, None for zeros."""
        if self.bridge is None or given is None:
            return None
        layers, H = self.config.layers, self.config.hidden_size
        parts = self.bridge(given).tanh().reshape(len(given), -1, layers, H)
        hidden, *memory = (part.contiguous() for part in parts.permute(1, 2, 0, 3))  # (layers, B, H) each
        return State(hidden, *memory)

    def _run(self, embedded: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Return encoded (B, T, H) and the state behind step T: padding is run over like all else."""
        whole = torch.full((len(embedded),), embedded.shape[1])
        state = _each(state, lambda part: part.to(embedded.device)) if state is not None else None
        encoded, _, state = self.encoder(embedded, whole, state, keep_state=True)
        assert state is not None, "it was asked for"
        return encoded, state

    def _classify(self, encoded: Tensor) -> Tensor:
        """Return log-probabilities (B, T, C) in float32, or wider, whatever the precision elsewhere."""
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
        """The state between batches, which a checkpoint keeps; empty where the next batch starts afresh."""
        if self._carried is None:
            return {}
        return {name: part for name, part in self._carried._asdict().items() if part is not None}

    @carried.setter
    def carried(self, parts: dict[str, Tensor]) -> None:
        self._carried = State(**parts) if parts else None

    def losses(self, batch: Batch) -> tuple[Tensor, int]:
        """Return the sum over the rows of their mean loss per label, and 0: all targets are possible.

        Args:
            batch: of `Streams`, each epoch in its order, or of `Lines`; `signals` are the conditions.
        """
        labels, steps = batch.targets, batch.target_lengths - 1
        given = self._given(self.as_condition(batch.signals))
        embedded, targets = self._embed(labels[:, :-1], given), labels[:, 1:]  # (B, T, D), (B, T)
        if self.truncation is None:
            encoded, _ = self._run(embedded, self._start(given))
            return (_losses(self._classify(encoded), targets, steps).sum(1) / steps).sum(), 0
        k1, k2 = self.truncation
        if _is_start(batch):
            self._carried = None
        state = self._start(given) if self._carried is None else self._carried
        pieces: list[Tensor] = []
        for part in embedded.split([k1, embedded.shape[1] - k1], 1):
            if not part.shape[1]:
                continue
            encoded, state = self._run(part, state)
            if not pieces:  # a window shorter than k2 begins with its stream, as does the next
                self._carried = _each(state, _settled) if embedded.shape[1] == k2 else None
            pieces.append(encoded)
        newest = torch.cat(pieces, 1)[:, -k1:]  # (B, k1, H)
        log_probs = self._classify(newest)
        return _losses(log_probs, targets[:, -k1:], steps.clamp(max=k1)).mean(1).sum(), 0

    def as_condition(self, values: Tensor) -> Tensor | None:
        """Return the conditions of a batch: (B,) int64 or (B, F), out of its values (B, 1) or (B, F)."""
        if not values.shape[1]:
            return None
        return values if self.config.condition_size else values[:, 0].long()

    # --- measuring

    def measure(
        self, loader: BatchLoader, fabric: "Fabric | None" = None, refused: list[str] | None = None
    ) -> dict[str, tuple[float, float]]:
        """Return {"bits_per_character": (bits, characters)}, or the same of words; ends of texts count, too.

        Args:
            loader: of `Streams` without a seed, each of which is read through to its end with its state, or
                of `Lines`.
            fabric: under which to compute, if any.
            refused: is given a sentence for each item that cannot be read.
        """
        nats = count = 0.0
        for batch, found in self._measured(loader, fabric):
            if refused is not None:
                refused += batch.refused
            nats += float(found.sum(dtype=torch.float64))
            count += float((batch.target_lengths - 1).sum())
        return {f"bits_per_{self.vocabulary.unit}": (nats / LN2, count)}

    @torch.inference_mode()
    def _measured(
        self, loader: BatchLoader, fabric: "Fabric | None" = None
    ) -> Iterator[tuple[Batch, Tensor]]:
        """Yield batches and the loss of each of their labels (B, T), 0 behind the end."""
        self.eval()
        state: State | None = None
        for batch in loader.batches():
            found = torch.zeros(0)
            if batch.indices:
                labels, steps = batch.targets.to(self.device), (batch.target_lengths - 1).to(self.device)
                with fabric.autocast() if fabric is not None else nullcontext():
                    given = self._given(self.as_condition(batch.signals.to(self.device)))
                    is_whole = isinstance(loader.examples, Lines)
                    first = is_whole or _is_start(batch)
                    before = self._start(given) if first or state is None else _first_rows(state, len(labels))
                    encoded, state = self._run(self._embed(labels[:, :-1], given), before)
                    found = _losses(self._classify(encoded), labels[:, 1:], steps)
            yield batch, found.cpu()

    def log_probs(
        self, texts: Sequence[str], condition: Sequence[Any] | None = None, running: bool = False
    ) -> list[np.ndarray]:
        """Return the natural log-probabilities of each text's characters or words and of its end, (L + 1,).

        Args:
            texts: to be measured.
            condition: of each: one of `conditions`, or a vector; None for a model that takes none.
            running: whether the state goes on from text to text, all of one condition, as in training on
                streams; else each text is for itself.
        """
        labels = [self.vocabulary.encode(text) for text in texts]
        if not labels:
            return []
        values = [self.as_values(one) for one in condition] if condition is not None else None
        data: Streams | Lines
        if running:
            first = values[:1] if values is not None else None
            text = join(labels)
            side_by_side = min(TEXTS_AT_ONCE, 1 + len(text) // STREAM)
            data = Streams([text], side_by_side, STEPS_AT_ONCE, values=first)
        else:
            data = Lines(labels, values, TEXTS_AT_ONCE * STEPS_AT_ONCE)
        found: dict[int, np.ndarray] = {}
        for batch, losses in self._measured(BatchLoader(data, plan=data.plan)):
            for index, row, length in zip(batch.indices, losses, batch.target_lengths.tolist(), strict=True):
                found[index] = -row[: length - 1].double().numpy()
        if isinstance(data, Lines):
            return [found[index] for index in range(len(texts))]
        streams = range(data.streams)
        order = sorted(streams, key=lambda stream: data.begin[stream])
        in_order = np.concatenate(
            [found[i] for b in order for i in range(b, len(data), len(streams)) if i in found]
        )
        return np.split(in_order, np.cumsum([len(one) + 1 for one in labels])[:-1])

    def score(self, texts: Sequence[str], condition: Sequence[Any] | None = None) -> np.ndarray:
        """Return the natural log-probability (N,) of each text with its end; arguments as of `log_probs`."""
        return np.array([one.sum() for one in self.log_probs(texts, condition)])

    def as_values(self, condition: Any) -> np.ndarray:
        """Return the values of an item with this condition: (1,) its place among `conditions`, or (F,)."""
        if self.config.condition_size:
            return np.asarray(condition, np.float32)
        if condition not in self.conditions:
            known = ", ".join(self.conditions) or "none"
            raise ValueError(f"label {condition!r}: this language model was trained with {known}; name one")
        return np.array([self.conditions.index(condition)], np.float32)

    # --- files

    def save(self, path: Path) -> None:
        """Write the model file: weights, and all that is needed to rebuild and describe the model."""
        tensors = {name: tensor.detach().cpu().numpy() for name, tensor in self.state_dict().items()}
        write_model(path, tensors, to_header(self.config, self.vocabulary, self.conditions, self.card))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the language model in a file.

        Raises:
            ValueError: a file of another kind, cut short, or with an unknown setting.
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


def _losses(log_probs: Tensor, targets: Tensor, steps: Tensor) -> Tensor:
    """Return minus the log-probability of each target (B, T), 0 from step `steps` (B,) on."""
    losses = -log_probs.gather(2, targets.unsqueeze(2)).squeeze(2)
    behind = torch.arange(targets.shape[1], device=targets.device) >= steps.unsqueeze(1)
    return losses.masked_fill(behind, 0.0)


def _is_start(batch: Batch) -> bool:
    """Return whether its rows begin their streams: as many items as there are rows are the first."""
    return batch.indices[0] < batch.planned


def _each(state: State, change: Callable[[Tensor], Tensor]) -> State:
    return State(change(state.hidden), None if state.memory is None else change(state.memory))


def _settled(part: Tensor) -> Tensor:
    """Return part of a state without its history; what is not finite, in an update to be skipped, is 0."""
    return part.detach().nan_to_num(0.0, 0.0, 0.0)


def _first_rows(state: State, rows: int) -> State:
    return _each(state, lambda part: part[:, :rows].contiguous())
