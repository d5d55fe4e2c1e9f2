"""One layer of a recurrent network in NumPy: an LSTM, a GRU, or a plain cell with tanh or ReLU."""

from collections.abc import Callable, Sequence

import numpy as np

EPSILON = 1e-5
"""added to the variance in layer normalisation, as in torch"""
WEIGHT_NAMES = ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
"""names of the weights of a layer, as in torch, without the suffix for the layer"""


class RecurrentLayer:
    """One recurrent layer; the equations are those of `RecurrentEncoder`."""

    def __init__(self, cell: str, weights: Sequence[np.ndarray], norms: Sequence[np.ndarray]) -> None:
        """Keep the weights of the layer.

        Args:
            cell: "lstm", "gru", "rnn_tanh" or "rnn_relu".
            weights: in the order of WEIGHT_NAMES.
            norms: weight and bias of the layer normalisation of the input; empty if there is none.
        """
        weight_ih, bias_ih, weight_hh, bias_hh = weights
        self.update: Callable[..., None] = {"lstm": self._lstm, "gru": self._gru}.get(cell, self._plain)
        self.squash = np.tanh if cell == "rnn_tanh" else lambda value: np.maximum(value, 0)
        self.U, self.W = (np.ascontiguousarray(weight.T) for weight in (weight_ih, weight_hh))
        self.b, self.d, self.norms = bias_ih, bias_hh, norms
        self.H = len(self.W)

    def drive(self, value: np.ndarray) -> np.ndarray:
        """Return the contribution of the input (N, D) to the gates (N, gates x H)."""
        if self.norms:
            centred = value - value.mean(1, keepdims=True)
            value = centred / np.sqrt((centred**2).mean(1, keepdims=True) + EPSILON)
            value = value * self.norms[0] + self.norms[1]
        return value @ self.U + self.b

    def step(self, driven: np.ndarray, old: np.ndarray, new: np.ndarray) -> None:
        """Write the next state into `new`.

        Args:
            driven: (N, gates x H) contribution of the input, from `drive`.
            old: (N, H) state before the step; (N, 2 H) for an LSTM: hidden units, then memory.
            new: the state after the step, in the shape of `old`.
        """
        self.update(driven, old[:, : self.H] @ self.W + self.d, old, new)

    def _lstm(self, driven: np.ndarray, recurrent: np.ndarray, old: np.ndarray, new: np.ndarray) -> None:
        H = self.H
        gates = driven + recurrent
        i, f, o = (_logistic(gates[:, at : at + H]) for at in (0, H, 3 * H))
        memory = f * old[:, H:] + i * np.tanh(gates[:, 2 * H : 3 * H])
        new[:, H:] = memory
        new[:, :H] = o * np.tanh(memory)

    def _gru(self, driven: np.ndarray, recurrent: np.ndarray, old: np.ndarray, new: np.ndarray) -> None:
        H = self.H
        r, z = (_logistic(driven[:, at : at + H] + recurrent[:, at : at + H]) for at in (0, H))
        n = np.tanh(driven[:, 2 * H :] + r * recurrent[:, 2 * H :])
        new[:] = (1 - z) * n + z * old

    def _plain(self, driven: np.ndarray, recurrent: np.ndarray, old: np.ndarray, new: np.ndarray) -> None:
        del old
        new[:] = self.squash(driven + recurrent)


def _logistic(value: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * value))  # unlike 1 / (1 + exp(-x)), without overflow
