"""The decoder of an encoder-decoder: it turns N steps into M labels in any order, one label after the other.

Each label is predicted from the labels before it. Class 0 is no symbol: it is both the start and the end. One
step of the decoder, from one label to the next:

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
from common.network.choices import Arrangement
from common.network.lstm import LSTM
from common.network.recurrent import summary
from common.text.symbols import BLANK


class DecoderState(NamedTuple):
    """The state of R = B x K decoders: K hypotheses for each of B sequences, side by side for one sequence.

    sources: what attention needs at every step; None without attention.
    hidden: (R, H), the hidden state of the cell.
    memory: (R, H), the memory of an LSTM; None with a GRU.
    context: (R, E), the mean that attention computed last, or the summary; None in the arrangement "first".
    weights: (R, S), the attention of the last step: 0 after the lengths, and all 0 before the first step.
    cumulated: (R, S), the sum of the weights of all steps so far.
    """

    sources: Sources | None
    hidden: Tensor
    memory: Tensor | None = None
    context: Tensor | None = None
    weights: Tensor | None = None
    cumulated: Tensor | None = None

    def select(self, rows: Tensor) -> "DecoderState":
        """Return the state of `rows` (R',), which are in the order of the sequences, equally many of each."""
        hidden, *others = (None if part is None else part.index_select(0, rows) for part in self[1:])
        assert hidden is not None, "every state has it"
        return DecoderState(self.sources, hidden, *others)


class AttentionDecoder(nn.Module):
    """A recurrent network that predicts labels, each from the labels before it and from the encoded steps.

    The arrangements differ in how the encoded steps reach the decoder:

        first     their summary is the first state                              (Sutskever et al. 2014)
        every     the summary is also an input of every step and output         (Cho et al. 2014)
        additive, dot, location
                  attention computes a new weighted mean of all steps, the context, for every label; the
                  three differ in how it computes the weights, see `Attention`

    One step has the order of Chorowski et al. (2015) and Luong et al. (2015): the last label is read, then
    attention is computed from the new state. (Bahdanau et al. 2015 compute it from the state before.)

        s' = cell((label's embedding, c), s);  a' = attention(s');  c' = sum of a' h
        probabilities of the next label = softmax(P tanh(Q (s', c')))

    The summary is the encoder's output at the last real step; for a bidirectional encoder it is the last
    output of each direction. The first state is tanh of a linear map of the summary; an LSTM has two such
    maps, for hidden state and memory. The first context of attention is 0.

    Args:
        input_size: E, values of one encoded step.
        classes: C, the symbols and class 0, which is the start and the end.
        hidden_size: H, units of the decoder.
        embedding_size: M, values of the embedding of a label.
        arrangement: "first", "every", "additive", "dot" or "location".
        cell: "lstm" or "gru".
        dropout: share of values set to 0 in training, in the embedding and before the output layer.
        bidirectional: whether the second half of E comes from an encoder that reads from the end.
        attention_size: A, the size in which attention compares states and steps.

    Raises:
        ValueError: an unknown arrangement or cell, a size below 1, fewer than 2 classes, dropout outside
            [0, 1), or an odd E with a bidirectional encoder.
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
        layer = LSTM if cell == "lstm" else nn.GRU
        self.cell = layer(embedding_size + context_size, hidden_size, batch_first=True)
        self.mix = nn.Linear(hidden_size + context_size, hidden_size)
        self.output = nn.Linear(hidden_size, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, encoded: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor, sampling: float = 0.0
    ) -> Tensor:
        """Return the log-probabilities of each label given the labels before it, and of the end after them.

        Args:
            encoded: (B, S, E) encoded steps; the values after a sequence's length are not read.
            lengths: (B,) real steps, 1 or more.
            targets: (B, L) labels from 1 to C - 1, padded with anything.
            target_lengths: (B,) real labels.
            sampling: the probability, for each step of each sequence, of feeding the most probable class of
                the step before instead of the target (scheduled sampling, Bengio et al. 2015). The draws come
                from torch's global generator, like those of dropout.

        Returns:
            (B, L + 1, C), in float32 or wider; values after a sequence's labels and its end are undefined.

        Raises:
            ValueError: sampling is outside [0, 1].
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
        """Return the first state, with K = 1, for `encoded` (B, S, E) with `lengths` (B,) real steps."""
        return self._begin(encoded, lengths)

    def step(self, state: DecoderState, labels: Tensor) -> tuple[Tensor, DecoderState]:
        """Return the log-probabilities (R, C) of the label after `labels` (R,), and the new state."""
        state = self._advance(state, self.dropout(self.embedding(labels)))
        return self._classify(state.hidden, state.context), state

    def _begin(self, encoded: Tensor, lengths: Tensor, steps: int = 0) -> DecoderState:
        """Return the first state; `steps` is the number of steps that follow, if it is known (`Product`)."""
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
        """Return the state after one more step, which reads the `embedded` labels (R, M)."""
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
        """Return the log-probabilities (B, L, C) after each of `embedded` (B, L, M), without attention.

        The cell runs over all steps in one call.
        """
        hidden, context = state.hidden.unsqueeze(0), state.context
        if context is not None:
            context = context.unsqueeze(1).expand(-1, embedded.shape[1], -1)  # (B, L, E)
            embedded = torch.cat([embedded, context], dim=2)
        first = hidden if state.memory is None else (hidden, state.memory.unsqueeze(0))
        outputs, _ = self.cell(embedded, first)  # (B, L, H)
        return self._classify(outputs, context)

    def _sample(self, state: DecoderState, fed: Tensor, sampling: float) -> Tensor:
        """Return the log-probabilities (B, L, C) when predicted labels replace a share of `fed` (B, L)."""
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
    """Return (B, L + 1): the labels of `targets` (B, L), and the end class at every place after them."""
    ended = functional.pad(targets.long(), (0, 1))  # (B, L + 1)
    steps = torch.arange(ended.shape[1], device=ended.device)
    return ended.masked_fill(steps >= target_lengths.to(ended.device).unsqueeze(1), BLANK)


def attention_losses(
    log_probs: Tensor, targets: Tensor, target_lengths: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Return the cross-entropy (B,) of each sequence, in nats, summed over its labels and its end.

    Args:
        log_probs: (B, L + 1, C) as `AttentionDecoder` returns them.
        targets: (B, L) labels from 1 to C - 1, padded with anything.
        target_lengths: (B,) real labels.
        smoothing: the share of the target's probability that is spread evenly over all C classes (label
            smoothing, Szegedy et al. 2016).

    Raises:
        ValueError: smoothing is outside [0, 1).
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing is {smoothing:g}; give a share from 0 to below 1")
    wanted = end_targets(targets, target_lengths)  # (B, L + 1)
    losses = -log_probs.gather(2, wanted.unsqueeze(2)).squeeze(2)  # (B, L + 1)
    if smoothing > 0:
        losses = (1 - smoothing) * losses - smoothing * log_probs.mean(2)
    steps = torch.arange(wanted.shape[1], device=wanted.device)
    padding = steps > target_lengths.to(wanted.device).unsqueeze(1)
    return losses.masked_fill(padding, 0.0).sum(1)  # (B,)
