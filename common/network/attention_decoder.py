"""The encoder-decoder: N steps in, M labels out, in any order, each predicted from the ones before it.

Start and end are one class, 0, which is no symbol. One step, from the last label to the next:

    encoded h (B, S, E) --- their summary is the first state ---+
         |                                                      v
         |   label and context c of the step before --> cell --> state s (B, H)
         |                                                      |
         +---> attention: weights of the S steps, by s <--------+
                          context c (B, E), the mean of h by these weights
                          log-probabilities (B, C) of the next label, from s and c

    fed          start   c    a    t
    predicted      c     a    t   end
"""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.network.attention import Attention, Sources
from common.network.recurrent import summary
from common.text.symbols import BLANK

Arrangement = Literal["first", "every", "additive", "dot", "location"]


class DecoderState(NamedTuple):
    """Where R = B x K decoders are: K hypotheses of each of the B sequences, those of one side by side.

    sources: of attention, what all steps share.
    hidden: (R, H), and of the LSTM `memory` (R, H).
    context: (R, E), what attention read last, or the summary; None in the arrangement "first".
    weights: (R, S), the last attention: 0 behind the lengths and before the first step.
    cumulated: (R, S), the sum of all weights so far.
    """

    sources: Sources | None
    hidden: Tensor
    memory: Tensor | None = None
    context: Tensor | None = None
    weights: Tensor | None = None
    cumulated: Tensor | None = None

    def select(self, rows: Tensor) -> "DecoderState":
        """Return the state of `rows` (R',), as many from each sequence, in the sequences' order."""
        hidden, *others = (None if part is None else part.index_select(0, rows) for part in self[1:])
        assert hidden is not None, "every state has it"
        return DecoderState(self.sources, hidden, *others)


class AttentionDecoder(nn.Module):
    """A recurrent network that writes labels, each from the ones before it and from what was encoded.

    The arrangements differ in how it gets to know that:

        first     the summary of all steps is its first state                   (Sutskever et al. 2014)
        every     the summary is also an input of every step and output         (Cho et al. 2014)
        additive, dot, location
                  the context, a mean of all steps weighted anew for every label, is; see `Attention`

    One step of any of them has the order of Chorowski et al. and Luong et al.: the last label is read, then
    attention looks with the new state (that of Bahdanau et al. looks with the state before):

        s' = cell((label's embedding, c), s);  a' = attention(s');  c' = sum of a' h
        probabilities of the next label = softmax(P tanh(Q (s', c')))

    The summary is the encoder's last real step, of a bidirectional one each direction's last. The first
    state is tanh of a linear map of it, of the LSTM two: hidden and memory; the first c of attention is 0.

    Args:
        input_size: E, of the encoder's steps.
        classes: C, the symbols and the class 0, which is the start and the end.
        hidden_size: H, units of the decoder.
        embedding_size: of the labels fed.
        arrangement: "first", "every", "additive", "dot" or "location".
        cell: "lstm" or "gru".
        dropout: share of units silenced while training, of the embedding and before the classes.
        bidirectional: whether the second half of E are the units of an encoder that reads from the end.
        attention_size: A, in which states and steps are compared.

    Raises:
        ValueError: an unknown arrangement or cell, a size below 1, fewer than 2 classes, dropout outside
            [0, 1), or an odd E of a bidirectional encoder.
    """

    def __init__(
        self,
        input_size: int,
        classes: int,
        hidden_size: int = 192,
        embedding_size: int = 64,
        arrangement: Arrangement = "location",
        cell: Literal["lstm", "gru"] = "lstm",
        dropout: float = 0.0,
        bidirectional: bool = True,
        attention_size: int = 128,
    ) -> None:
        super().__init__()
        if arrangement not in get_args(Arrangement):
            raise ValueError(
                f"arrangement is {arrangement!r}; it must be one of {', '.join(get_args(Arrangement))}"
            )
        if cell not in ("lstm", "gru"):
            raise ValueError(f"the decoder's cell is {cell!r}; it must be lstm or gru")
        if min(input_size, hidden_size, embedding_size, attention_size) < 1 or not 0 <= dropout < 1:
            raise ValueError(
                f"input_size {input_size}, hidden_size {hidden_size}, embedding_size {embedding_size},"
                f" attention_size {attention_size} must be 1 or more and dropout {dropout} in [0, 1)"
            )
        if classes < 2:
            raise ValueError(f"{classes} classes; give 2 or more, the end and at least one symbol")
        if bidirectional and input_size % 2:
            raise ValueError(
                f"input_size is {input_size}, which has no halves; give bidirectional=False for a"
                " unidirectional encoder"
            )
        self.arrangement = arrangement
        self.classes = classes
        self.bidirectional = bidirectional
        context_size = 0 if arrangement == "first" else input_size
        self.attention = None
        if arrangement != "first" and arrangement != "every":  # noqa: PLR1714  # narrows the type
            self.attention = Attention(input_size, hidden_size, attention_size, arrangement)
        self.bridge = nn.Linear(input_size, hidden_size * (2 if cell == "lstm" else 1))
        self.embedding = nn.Embedding(classes, embedding_size)
        layer = nn.LSTM if cell == "lstm" else nn.GRU
        self.cell = layer(embedding_size + context_size, hidden_size, batch_first=True)
        self.mix = nn.Linear(hidden_size + context_size, hidden_size)
        self.output = nn.Linear(hidden_size, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, encoded: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor, sampling: float = 0.0
    ) -> Tensor:
        """Return the log-probabilities of each label after the ones before it, and of the end after them all.

        Args:
            encoded: (B, S, E) steps; what stands behind a sequence's length is not read.
            lengths: (B,) real steps, 1 or more.
            targets: (B, L) labels from 1 to C - 1, padded with anything.
            target_lengths: (B,) real labels.
            sampling: the probability, of each step of each sequence for itself, to be fed the likeliest
                class of the step before in place of the target (scheduled sampling, Bengio et al. 2015). The
                draws come from torch's global generator, as dropout's do.

        Returns:
            (B, L + 1, C), float32 at least; without meaning behind a sequence's labels and its end.

        Raises:
            ValueError: sampling outside [0, 1].
        """
        if not 0 <= sampling <= 1:
            raise ValueError(f"sampling is {sampling:g}; give a probability, from 0 to 1")
        state = self._begin(encoded, lengths, targets.shape[1] + 1)
        fed = functional.pad(end_targets(targets, target_lengths)[:, :-1], (1, 0), value=BLANK)  # (B, L + 1)
        if sampling > 0:
            return self._sample(state, fed, sampling)
        embedded = self.dropout(self.embedding(fed))  # (B, L + 1, M)
        if self.attention is None:
            return self._run(state, embedded)
        states = []
        for label in embedded.unbind(1):
            state = self._advance(state, label)
            states.append(state)
        hidden = torch.stack([state.hidden for state in states], dim=1)  # (B, L + 1, H)
        contexts = [state.context for state in states if state.context is not None]
        return self._classify(hidden, torch.stack(contexts, dim=1))

    def begin(self, encoded: Tensor, lengths: Tensor) -> DecoderState:
        """Return the first state, K = 1, with what all steps need of `encoded` (B, S, E), `lengths` (B,)."""
        return self._begin(encoded, lengths)

    def step(self, state: DecoderState, labels: Tensor) -> tuple[Tensor, DecoderState]:
        """Return the log-probabilities (R, C) of what follows `labels` (R,), and the state after them."""
        state = self._advance(state, self.dropout(self.embedding(labels)))
        return self._classify(state.hidden, state.context), state

    def _begin(self, encoded: Tensor, lengths: Tensor, steps: int = 0) -> DecoderState:
        """Return the first state; `steps`, if known, are those that follow one by one (`Product`)."""
        lengths = lengths.to(encoded.device)
        whole = summary(encoded, lengths, self.bidirectional)  # (B, E)
        hidden, *memory = self.bridge(whole).tanh().chunk(2 if isinstance(self.cell, nn.LSTM) else 1, dim=1)
        state = DecoderState(None, hidden, memory[0] if memory else None)
        if self.arrangement == "every":
            state = state._replace(context=whole)
        if self.attention is None:
            return state
        absent = torch.arange(encoded.shape[1], device=encoded.device) >= lengths.unsqueeze(1)  # (B, S)
        sources = self.attention.prepare(encoded, absent, steps)
        nothing = whole.new_zeros(absent.shape)  # (B, S)
        return state._replace(
            sources=sources, context=torch.zeros_like(whole), weights=nothing, cumulated=nothing
        )

    def _advance(self, state: DecoderState, embedded: Tensor) -> DecoderState:
        """Return the state after `embedded` labels (R, M)."""
        read = embedded if state.context is None else torch.cat([embedded, state.context], dim=1)
        weights = self.cell.all_weights[0]
        if state.memory is None:
            state = state._replace(hidden=torch.gru_cell(read, state.hidden, *weights))
        else:
            hidden, memory = torch.lstm_cell(read, (state.hidden, state.memory), *weights)
            state = state._replace(hidden=hidden, memory=memory)
        if self.attention is None:
            return state
        sources, last, cumulated = state.sources, state.weights, state.cumulated
        assert sources is not None and last is not None and cumulated is not None, "a state of attention"
        now = self.attention(state.hidden, sources, last, cumulated)  # (R, S)
        return state._replace(context=sources.encoded(now), weights=now, cumulated=cumulated + now)

    def _run(self, state: DecoderState, embedded: Tensor) -> Tensor:
        """Return the log-probabilities (B, L, C) after each of `embedded` (B, L, M): all steps at once."""
        hidden, context = state.hidden.unsqueeze(0), state.context
        if context is not None:
            context = context.unsqueeze(1).expand(-1, embedded.shape[1], -1)  # (B, L, E)
            embedded = torch.cat([embedded, context], dim=2)
        first = hidden if state.memory is None else (hidden, state.memory.unsqueeze(0))
        said, _ = self.cell(embedded, first)  # (B, L, H)
        return self._classify(said, context)

    def _sample(self, state: DecoderState, fed: Tensor, sampling: float) -> Tensor:
        """Return the log-probabilities (B, L, C) where a share of `fed` (B, L) gives way to the likeliest."""
        own = torch.rand(fed.shape, device=fed.device) < sampling  # (B, L)
        labels = fed[:, 0]
        predicted: list[Tensor] = []
        for step in range(fed.shape[1]):
            if step:
                labels = torch.where(own[:, step], predicted[-1].argmax(1), fed[:, step])
            log_probs, state = self.step(state, labels)  # (B, C)
            predicted.append(log_probs)
        return torch.stack(predicted, dim=1)

    def _classify(self, hidden: Tensor, context: Tensor | None) -> Tensor:
        """Return the log-probabilities (..., C) of `hidden` (..., H) and `context` (..., E)."""
        both = hidden if context is None else torch.cat([hidden, context], dim=-1)
        scores = self.output(self.dropout(self.mix(both).tanh()))  # (..., C)
        return scores.to(torch.promote_types(scores.dtype, torch.float32)).log_softmax(-1)


def end_targets(targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Return `targets` (B, L) with the end, and nothing but ends behind: (B, L + 1)."""
    ended = functional.pad(targets.long(), (0, 1))  # (B, L + 1)
    steps = torch.arange(ended.shape[1], device=ended.device)
    return ended.masked_fill(steps >= target_lengths.to(ended.device).unsqueeze(1), BLANK)


def attention_losses(
    log_probs: Tensor, targets: Tensor, target_lengths: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Return each sequence's cross-entropy (B,), summed over its labels and its end.

    Args:
        log_probs: (B, L + 1, C) as the decoder returns them.
        targets: (B, L) labels from 1 to C - 1, padded with anything.
        target_lengths: (B,) real labels.
        smoothing: the share of the wanted probability that goes to all C classes alike (label smoothing,
            Szegedy et al. 2016).

    Raises:
        ValueError: smoothing outside [0, 1).
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing is {smoothing:g}; give a share from 0 to below 1")
    wanted = end_targets(targets, target_lengths)  # (B, L + 1)
    losses = -log_probs.gather(2, wanted.unsqueeze(2)).squeeze(2)  # (B, L + 1)
    if smoothing > 0:
        losses = (1 - smoothing) * losses - smoothing * log_probs.mean(2)
    steps = torch.arange(wanted.shape[1], device=wanted.device)
    behind = steps > target_lengths.to(wanted.device).unsqueeze(1)
    return losses.masked_fill(behind, 0.0).sum(1)  # (B,)
