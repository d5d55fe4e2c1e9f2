"""Convolutions over padded signals, shared by the front ends: no step sees padding or other signals.

Maps are (B, channels, height, S) with the direction of reading last; lengths count steps of S. Standardised
weights take the place of batch normalisation (Brock et al. 2021, "Characterizing signal propagation to close
the performance gap in unnormalized ResNets"). So activations keep unit variance by construction, training and
evaluation compute the same function, ranks need not exchange statistics, and a training step is cheaper.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

RELU_GAIN = math.sqrt(2 / (1 - 1 / math.pi))
"""makes the variance of max(0, x) one for a standard normal x; the kernels contain it, so it costs nothing"""


def zero_padding(maps: Tensor, lengths: Tensor) -> Tensor:
    """Return `maps` (B, channels, height, S) with zeros from step `lengths` (B,) on."""
    steps = torch.arange(maps.shape[3], device=maps.device)
    padding = steps >= lengths.to(maps.device).unsqueeze(1)  # (B, S)
    return maps.masked_fill(padding[:, None, None, :], 0.0)


class StandardisedConv2d(nn.Conv2d):
    """A convolution before a ReLU; kernels have mean 0, variance RELU_GAIN^2 / fan-in and a learnt gain.

    Args:
        channels_in, channels_out: channels of the maps.
        kernel: (height, steps), odd.
        stride: (height, steps).
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, (kernel[0] // 2, kernel[1] // 2))
        assert self.bias is not None, "the bias is on by default"
        nn.init.zeros_(self.bias)
        self.gain = nn.Parameter(torch.ones(channels_out))

    def standardised(self) -> Tensor:
        """Return the standardised kernel (channels_out, channels_in, height, steps)."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        scale = (
            RELU_GAIN * self.gain[:, None, None, None] * (variance * self.weight[0].numel() + 1e-8).rsqrt()
        )
        return (self.weight - mean) * scale

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, channels_out, height', S') from `maps` (B, channels_in, height, S)."""
        return self._conv_forward(maps, self.standardised(), self.bias)


class ConvBlock(nn.Module):
    """Convolution, ReLU and max-pooling; with `residual` also a second convolution with a shortcut around it.

    Args:
        channels_in, channels_out: channels of the maps.
        kernel: (height, steps), odd.
        stride: (height, steps) of the first convolution; S' = S / stride, rounded up.
        pool: (height, steps) of the pooling after it; S' = S / pool, rounded down, without partial windows.
        residual: whether a second convolution with a shortcut follows the first (He et al. 2016).
        dropout: share of whole channels set to 0 in training.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: tuple[int, int] = (3, 3),
        stride: tuple[int, int] = (1, 1),
        pool: tuple[int, int] = (1, 1),
        residual: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.stride, self.pool = stride, pool
        self.convolution = StandardisedConv2d(channels_in, channels_out, kernel, stride)
        self.second = StandardisedConv2d(channels_out, channels_out, (3, 3)) if residual else None
        self.dropout = nn.Dropout2d(dropout)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of real steps (B,) after this block."""
        return (lengths + self.stride[1] - 1) // self.stride[1] // self.pool[1]

    def forward(self, maps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps (B, channels_out, height', S') from `maps` (B, channels_in, height, S), and lengths.

        The padding must be zero in the input and is zero in the output.
        """
        maps = functional.relu(self.convolution(maps))  # (B, channels, height, S)
        if self.second is not None:
            maps = zero_padding(maps, (lengths + self.stride[1] - 1) // self.stride[1])
            maps = (maps + functional.relu(self.second(maps))) * math.sqrt(0.5)
        if self.pool != (1, 1):
            maps = functional.max_pool2d(maps, self.pool)
        lengths = self.output_lengths(lengths)
        return zero_padding(self.dropout(maps), lengths), lengths


class ConvBlocks(nn.ModuleList):
    """A sequence of `ConvBlock`s."""

    @property
    def context(self) -> tuple[int, int]:
        """The numbers of input steps that an output step sees before and after its own input steps."""
        first = last = own = 0  # input steps that output step 0 sees, and the last of its own
        for block in reversed(self):
            assert isinstance(block, ConvBlock), "these are ConvBlocks"
            stride, pool, side = block.stride[1], block.pool[1], block.convolution.kernel_size[1] // 2
            around = 0 if block.second is None else block.second.kernel_size[1] // 2
            first, last, own = first * pool - around, last * pool + pool - 1 + around, own * pool + pool - 1
            first, last, own = first * stride - side, last * stride + side, own * stride + stride - 1
        return -first, last - own

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of real steps (B,) after the last block."""
        for block in self:
            assert isinstance(block, ConvBlock), "these are ConvBlocks"
            lengths = block.output_lengths(lengths)
        return lengths

    def forward(self, maps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps (B, channels, height, S) from `maps` (B, 1, H, T), and their lengths (B,)."""
        maps = zero_padding(maps, lengths).contiguous(memory_format=torch.channels_last)
        for block in self:
            maps, lengths = block(maps, lengths)
        return maps, lengths
