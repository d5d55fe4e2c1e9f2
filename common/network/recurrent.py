"""The recurrent encoder: plain, LSTM and GRU layers, uni- or bidirectional, of any depth.

    features (B, S, D) -> layer -> layer -> ... -> encoded (B, S, E)

    one layer, bidirectional:     forward  cell over  x1 x2 x3 --            E = 2 x hidden
                                  backward cell over  x3 x2 x1 --  reversed back, concatenated

Each sequence is reversed within its own length, so padding never reaches the backward cell.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from common.network.choices import Cell, Initialisation
from common.network.lstm import LSTM

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
"""number of matrices that torch stacks in one: i, f, g, o for the LSTM; r, z, n for the GRU"""


class State(NamedTuple):
    """The state of a unidirectional encoder after a step of each sequence.

    hidden: (layers, B, H).
    memory: (layers, B, H) for an LSTM, else None.
    """

    hidden: Tensor
    memory: Tensor | None = None


def reverse_within_lengths(sequences: Tensor, lengths: Tensor) -> Tensor:
    """Return `sequences` (B, S, D), each reversed within its length of `lengths` (B,); padding stays."""
    B, S, D = sequences.shape
    steps = torch.arange(S, device=sequences.device)  # (S,)
    last = lengths.to(sequences.device).unsqueeze(1) - 1  # (B, 1)
    mirrored = torch.where(steps <= last, last - steps, steps)  # (B, S)
    rows = mirrored + S * torch.arange(B, device=sequences.device).unsqueeze(1)  # (B, S)
    return sequences.reshape(B * S, D).index_select(0, rows.reshape(-1)).reshape(B, S, D)


def mask_steps(sequences: Tensor, lengths: Tensor) -> Tensor:
    """Return `sequences` (B, S, D) with zeros from step `lengths` (B,) on."""
    steps = torch.arange(sequences.shape[1], device=sequences.device)
    padding = steps >= lengths.to(sequences.device).unsqueeze(1)  # (B, S)
    return sequences.masked_fill(padding.unsqueeze(2), 0.0)


def summary(encoded: Tensor, lengths: Tensor, bidirectional: bool) -> Tensor:
    """Return the output (B, E) of an encoder after each of its directions has read the whole sequence.

    This is the last real step, and for the half of E that reads from the end the first step.

    Args:
        encoded: (B, S, E), the output of the encoder.
        lengths: (B,) real steps.
        bidirectional: whether the second half of E reads from the end.
    """
    place = (lengths.to(encoded.device) - 1).clamp(min=0)[:, None, None].expand(-1, 1, encoded.shape[2])
    last = encoded.gather(1, place).squeeze(1)  # (B, E); indexing would fix B in an export
    if not bidirectional:
        return last
    half = encoded.shape[2] // 2
    return torch.cat([last[:, :half], encoded[:, 0, half:]], dim=1)


class RecurrentEncoder(nn.Module):
    """A stack of recurrent layers over padded sequences.

    The cells, with x the input, h the hidden state, s the logistic function and * the elementwise product:

        rnn_tanh  h' = tanh(U x + W h + b)                              (Elman 1990)
        rnn_relu  h' = max(0, U x + W h + b)                            (Le, Jaitly and Hinton 2015)
        lstm      i, f, o = s(U x + W h + b) each;  g = tanh(U x + W h + b)
                  c' = f * c + i * g;  h' = o * tanh(c')   (Hochreiter and Schmidhuber 1997; Gers et al. 2000)
        gru       r, z = s(U x + W h + b) each;  n = tanh(U x + b + r * (W h + d))
                  h' = (1 - z) * n + z * h                              (Cho et al. 2014)

    Args:
        input_size: D, features of a step.
        hidden_size: H, units of one direction of one layer.
        layers: number of layers, 1 or more.
        cell: "lstm", "gru", "rnn_tanh" or "rnn_relu".
        bidirectional: whether each layer has a second direction, which reads from the end; E is 2 x H then,
            else H.
        dropout: share of units set to 0 between layers in training.
        residual: whether each layer reads its input through layer normalisation and its output is added to
            the input (pre-norm). If D differs from E, the first layer's input is projected to E.
        initialisation: the first values of each gate's matrices, U for the input and W for the recurrence:
            "uniform": U, W and the biases within 1 / sqrt(H), the default of torch.
            "xavier": U and W within sqrt(6 / (rows + columns)), biases 0 (Glorot and Bengio 2010).
            "orthogonal": W is a random orthogonal matrix, U and biases as for xavier (Saxe et al. 2014).
            "identity": W = 1, U and biases as for xavier; for rnn_relu (Le, Jaitly and Hinton 2015).
        forget_bias: the first sum of the two biases of the LSTM's forget gate. With 1 or more, memory and
            gradients last long (Gers et al. 2000, Jozefowicz et al. 2015). None leaves the biases as
            `initialisation` sets them.

    Attributes:
        output_size: E, values of an encoded step.

    Raises:
        ValueError: an unknown cell or initialisation, no layers, a size below 1, dropout outside [0, 1),
            identity with another cell than rnn_relu, or a forget_bias with another cell than the LSTM.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 192,
        layers: int = 2,
        cell: Cell = "lstm",
        bidirectional: bool = True,
        dropout: float = 0.0,
        residual: bool = False,
        initialisation: Initialisation = "uniform",
        forget_bias: float | None = None,
    ) -> None:
        super().__init__()
        _check_cell(cell, initialisation, forget_bias)
        if min(input_size, hidden_size, layers) < 1 or not 0 <= dropout < 1:
            raise ValueError(
                f"input_size {input_size}, hidden_size {hidden_size}, layers {layers} must be 1 or more"
                f" and dropout {dropout} in [0, 1)"
            )
        self.cell = cell
        self.bidirectional = bidirectional
        self.output_size = hidden_size * (2 if bidirectional else 1)
        sizes = [input_size] + [self.output_size] * (layers - 1)
        self.entry = (
            nn.Linear(input_size, self.output_size) if residual and input_size != self.output_size else None
        )
        if self.entry is not None:
            sizes[0] = self.output_size
        self.norms = nn.ModuleList([nn.LayerNorm(size) for size in sizes]) if residual else None
        self.forwards = nn.ModuleList([_layer(cell, size, hidden_size) for size in sizes])
        self.backwards = (
            nn.ModuleList([_layer(cell, size, hidden_size) for size in sizes]) if bidirectional else None
        )
        self.dropout = nn.Dropout(dropout)
        for layer in [*self.forwards, *(self.backwards or [])]:
            _initialise(layer, cell, initialisation, forget_bias)

    def forward(
        self, features: Tensor, lengths: Tensor, state: State | None = None, keep_state: bool = False
    ) -> tuple[Tensor, Tensor, State | None]:
        """Encode a batch.

        Args:
            features: (B, S, D); the values after a sequence's length do not change the result.
            lengths: (B,) integers from 1 to S.
            state: the state of a unidirectional encoder after an earlier piece of the same sequences.
            keep_state: whether to return the state after each sequence's last real step. Sequences of
                unequal length are packed then, which is several times slower on a CPU.

        Returns:
            The encoded steps (B, S, E), zero after the lengths; the lengths; and the state, or None if
            neither `state` nor `keep_state` was given.

        Raises:
            ValueError: `state` or `keep_state` with a bidirectional encoder, which starts at both ends.
        """
        if self.bidirectional and (state is not None or keep_state):
            raise ValueError(
                "a bidirectional encoder has no state to carry; build it with bidirectional=False"
            )
        keep_state = keep_state or state is not None
        encoded, states = features, []
        for output, last in self._layers(features, lengths, state, keep_state):
            encoded = output  # (B, S, E)
            states += [last] if last is not None else []
        return mask_steps(encoded, lengths), lengths, _stack(states) if keep_state else None

    def with_middle(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the encoded steps of `forward`, and those after the layer in the middle, (B, S, E) each.

        Of three layers that is the second, of four as well; both are zero after the lengths.

        Args:
            features: (B, S, D); the values after a sequence's length do not change the result.
            lengths: (B,) integers from 1 to S.
        """
        outputs = [encoded for encoded, _ in self._layers(features, lengths, None, False)]
        middle = outputs[(len(outputs) - 1) // 2]
        return mask_steps(outputs[-1], lengths), mask_steps(middle, lengths)

    def _layers(
        self, features: Tensor, lengths: Tensor, state: State | None, keep_state: bool
    ) -> Iterator[tuple[Tensor, State | None]]:
        """Yield the output (B, S, E) of each layer, and its state after the last real steps if it is kept."""
        encoded = features if self.entry is None else self.entry(features)  # (B, S, E) or (B, S, D)
        for depth in range(len(self.forwards)):
            before, last = encoded, None
            if self.norms is not None:
                encoded = self.norms[depth](encoded)
            if self.backwards is not None:
                encoded = self._both_ways(depth, encoded, lengths)  # (B, S, E)
            elif keep_state:
                encoded, last = self._with_state(depth, encoded, lengths, state)  # (B, S, E)
            else:
                encoded, _ = self.forwards[depth](encoded)  # (B, S, E)
            if depth + 1 < len(self.forwards):
                encoded = self.dropout(encoded)
            if self.norms is not None:
                encoded = before + encoded
            yield encoded, last

    def _both_ways(self, depth: int, features: Tensor, lengths: Tensor) -> Tensor:
        """Return the output (B, S, E) of both directions of a layer."""
        assert self.backwards is not None, "only a bidirectional encoder reads both ways"
        ahead, _ = self.forwards[depth](features)  # (B, S, H)
        back, _ = self.backwards[depth](reverse_within_lengths(features, lengths))  # (B, S, H)
        return torch.cat([ahead, reverse_within_lengths(back, lengths)], dim=2)  # (B, S, E)

    def _with_state(
        self, depth: int, features: Tensor, lengths: Tensor, state: State | None
    ) -> tuple[Tensor, State]:
        """Return the output (B, S, H) of a unidirectional layer, and the state after each last real step."""
        layer, S = self.forwards[depth], features.shape[1]
        first = None
        if state is not None:
            hidden = state.hidden[depth : depth + 1]
            first = hidden if state.memory is None else (hidden, state.memory[depth : depth + 1])
        if bool((lengths == S).all()):
            encoded, last = layer(features, first)
        else:
            packed = pack_padded_sequence(features, lengths.cpu(), batch_first=True, enforce_sorted=False)
            packed, last = layer(packed, first)
            encoded, _ = pad_packed_sequence(packed, batch_first=True, total_length=S)
        return encoded, State(*last) if self.cell == "lstm" else State(last)


def _check_cell(cell: Cell, initialisation: Initialisation, forget_bias: float | None) -> None:
    if cell not in GATES:
        raise ValueError(f"cell is {cell!r}; it must be lstm, gru, rnn_tanh or rnn_relu")
    if initialisation not in ("uniform", "xavier", "orthogonal", "identity"):
        raise ValueError(
            f"initialisation is {initialisation!r}; it must be uniform, xavier, orthogonal or identity"
        )
    if initialisation == "identity" and cell != "rnn_relu":
        raise ValueError(
            f"initialisation is identity with cell {cell}; it is for rnn_relu, take orthogonal for the others"
        )
    if forget_bias is not None and cell != "lstm":
        raise ValueError(
            f"forget_bias is {forget_bias} with cell {cell}, which has no forget gate; leave it out,"
            " or take cell lstm"
        )
    if forget_bias is not None and not math.isfinite(forget_bias):
        raise ValueError(f"forget_bias is {forget_bias}; a finite number is wanted, such as 1")


@torch.no_grad()
def _initialise(
    layer: nn.RNNBase, cell: Cell, initialisation: Initialisation, forget_bias: float | None
) -> None:
    """Set the first weights of one layer; "uniform" keeps the ones that torch drew."""
    U, W, b, d = layer.parameters()
    if initialisation != "uniform":
        for matrix in U.chunk(GATES[cell]):  # (H, D)
            nn.init.xavier_uniform_(matrix)
        fill: Callable[[Tensor], Tensor] = {
            "xavier": nn.init.xavier_uniform_,
            "orthogonal": nn.init.orthogonal_,
            "identity": nn.init.eye_,
        }[initialisation]
        for matrix in W.chunk(GATES[cell]):  # (H, H)
            fill(matrix)
        b.zero_()
        d.zero_()
    if forget_bias is not None:
        b.chunk(4)[1].fill_(forget_bias)  # i, f, g, o
        d.chunk(4)[1].zero_()


def _layer(cell: Cell, input_size: int, hidden_size: int) -> nn.RNNBase:
    if cell == "lstm":
        return LSTM(input_size, hidden_size, batch_first=True)
    if cell == "gru":
        return nn.GRU(input_size, hidden_size, batch_first=True)
    return nn.RNN(input_size, hidden_size, batch_first=True, nonlinearity=cell.removeprefix("rnn_"))


def _stack(states: list[State]) -> State:
    memories = [state.memory for state in states if state.memory is not None]
    return State(torch.cat([state.hidden for state in states]), torch.cat(memories) if memories else None)
