"""torch's LSTM with a precision of its own under autocast, and with sizes for which cuDNN is fast.

cuDNN's persistent kernel reads the recurrent weights once for all steps. torch takes it (`get_algo` in
aten/src/ATen/native/cudnn/RNN.cpp) in float16 only, for one layer in one direction that is not packed, with
input and hidden sizes that are multiples of 128, hidden sizes up to 1,024, and batches of up to 128 rows that
are a multiple of 8. All else it computes step by step. `LSTM` gives the time of both for some sizes; what
filling the rows brings has not been measured by itself.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

ROW_MULTIPLE, MOST_ROWS = 8, 128
"""the kernel's batches are multiples of ROW_MULTIPLE, and have MOST_ROWS at most"""
SIZE_MULTIPLE, FEW_UNITS, MOST_UNITS = 128, 192, 1024
"""its sizes are multiples of SIZE_MULTIPLE, up to MOST_UNITS; up to FEW_UNITS another kernel is fast"""


class LSTM(nn.LSTM):
    """torch's LSTM, one layer in one direction, batch first, with a precision of its own under autocast.

    On CUDA it computes in float16, whatever the type of autocast, and with `filled` sizes. On an H100 (torch
    2.11, B 64, S 400, 512 inputs, forward and backward) it took 7.6, 7.4 and 7.7 ms for 256, 384 and 512
    units, and 15 to 17 ms in bfloat16; 320 units, not filled, took 17.2 ms. Autocast to bfloat16 gives the
    same type, since torch casts cuDNN's weights to float16 for it; here it is said. Gradients this small need
    a scale of the loss, see `LossScale`.

    On CPUs oneDNN has a kernel in bfloat16 for AVX-512 and newer. Without one, torch raises "could not create
    a primitive descriptor for the LSTM forward propagation primitive"; this layer computes in float32 there.
    """

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return what nn.LSTM returns."""
        packed = isinstance(input, PackedSequence)
        values = input.data if packed else input  # (..., D)
        if values.device.type == "cuda" and torch.is_autocast_enabled("cuda"):
            with torch.autocast("cuda", dtype=torch.float16):
                return super().forward(input, hx) if packed else self.filled(input, hx)  # type: ignore[has-type]
        if values.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or has_half_lstm():
            return super().forward(input, hx)  # type: ignore[has-type]
        with torch.autocast("cpu", enabled=False):
            first = None if hx is None else tuple(part.float() for part in hx)
            return super().forward(input.float(), first)  # type: ignore[has-type]

    def filled(
        self, steps: Tensor, first: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return what nn.LSTM returns, computed with rows, inputs and units of 0 up to cuDNN's fast sizes.

        The result is the same. Rows do not depend on each other; inputs of 0 add nothing; and a unit whose
        weights are 0 has g = 0, so that its memory and its output stay 0.

        Args:
            steps: (B, S, D).
            first: the hidden units and the memory before the first step, (1, B, H) each, or None for 0.
        """
        (B, _, D), H = steps.shape, self.hidden_size
        rows, inputs = _up(B, ROW_MULTIPLE) - B, _up(D, SIZE_MULTIPLE) - D
        units = _up(H, SIZE_MULTIPLE) - H if FEW_UNITS < H <= MOST_UNITS else 0
        if first is None:
            first = (steps.new_zeros(1, B, H), steps.new_zeros(1, B, H))
        batch = functional.pad(steps, (0, inputs, 0, 0, 0, rows)).split(MOST_ROWS)
        hidden, memory = (functional.pad(part, (0, units, 0, rows)).split(MOST_ROWS, 1) for part in first)
        U, W, b, d = self.parameters()
        weights: list[Tensor] = [U, W, b, d]
        if inputs or units:
            weights = [_fill(U, units, inputs), _fill(W, units, units), _fill(b, units), _fill(d, units)]
        pieces = [
            torch.lstm(part, state, weights, True, 1, 0.0, self.training, False, True)
            for part, state in zip(batch, zip(hidden, memory, strict=True), strict=True)
        ]
        encoded = torch.cat([piece[0] for piece in pieces])  # (B + rows, S, H + units)
        last, kept = (torch.cat([piece[place] for piece in pieces], 1) for place in (1, 2))
        return encoded[:B, :, :H], (last[:, :B, :H], kept[:, :B, :H])


def _up(size: int, step: int) -> int:
    """Return `size` rounded up to a multiple of `step`."""
    return -(-size // step) * step


def _fill(weights: Tensor, units: int, columns: int | None = None) -> Tensor:
    """Return the weights (4 H, K) or biases (4 H,) of the four gates with more units and columns, of 0."""
    gates = weights.unflatten(0, (4, -1))  # (4, H, K) or (4, H)
    return functional.pad(gates, (0, units) if columns is None else (0, columns, 0, units)).flatten(0, 1)


def has_half_lstm() -> bool:
    """Return whether oneDNN has an LSTM in half precision on this CPU."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
