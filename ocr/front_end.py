"""From line images to features: a small CNN whose first layer already sees 5 x 5 pixels.

columns (B, W, H) -> 5x5, stride 2 -> 3x3, pool 2x2 -> 3x3, pool height -> 3x3, pool height -> (B, S, D)
48 px high               24                12               6                   3    fold: D = 3 x channels
"""

from torch import Tensor, nn

from common.network.convolution import ConvBlock, ConvBlocks
from ocr.configuration import FrontEndConfig
from ocr.signal import SignalConfig


class ImageFrontEnd(nn.Module):
    """The CNN over line images.

    Attributes:
        stride: exact number of columns in one step: step s covers [s x stride, (s + 1) x stride) + offset.
        offset: in columns: minus a half, because the first convolution is centred on the first of its two.
        feature_size: D.
        step_shape: shape of one column.
        shortest: narrower images are padded to this many columns, which give one step.
    """

    def __init__(self, config: FrontEndConfig, signal: SignalConfig) -> None:
        super().__init__()
        if len(config.channels) != 4:
            raise ValueError(f"channels are {config.channels}; one number for each of four blocks is wanted")
        one, two, three, four = config.channels
        third = (2, 2) if config.stride == 8 else (2, 1)
        self.blocks = ConvBlocks(
            [
                ConvBlock(1, one, kernel=(5, 5), stride=(2, 2)),
                ConvBlock(one, two, pool=(2, 2), residual=config.deep),
                ConvBlock(two, three, pool=third, residual=config.deep),
                ConvBlock(three, four, pool=(2, 1), residual=config.deep, dropout=config.feature_dropout),
            ]
        )
        if signal.height_px < 16:
            raise ValueError(
                f"height_px is {signal.height_px}; four blocks halve it four times, so 16 is the least"
            )
        self.fold = config.height == "fold"
        self.stride = self.shortest = config.stride
        self.offset = -0.5
        self.step_shape = (signal.height_px,)
        self.feature_size = four * ((signal.height_px + 1) // 2 // 8 if self.fold else 1)

    @property
    def context(self) -> tuple[int, int]:
        """The number of columns that a step depends on before its own columns, and after them."""
        return self.blocks.context

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of steps (B,) for images of `lengths` (B,) columns."""
        return self.blocks.output_lengths(lengths)

    def forward(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, S, D) and their lengths (B,) for images (B, W, H) of `lengths` (B,) columns."""
        maps = signals.unsqueeze(1).transpose(2, 3)  # (B, 1, H, W)
        maps, lengths = self.blocks(maps, lengths)  # (B, channels, height, S)
        if self.fold:
            return maps.permute(0, 3, 1, 2).flatten(2), lengths  # (B, S, channels x height)
        return maps.amax(dim=2).transpose(1, 2), lengths  # (B, S, channels)
