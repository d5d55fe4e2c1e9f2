"""The network that finds lines: a small U-Net over the ink of a page.

    ink (B, 1, H, W)                                             maps (B, 5, H/2, W/2)
        | /2  16 maps  -------------------------------------------  + | 16
        | /4  32       -----------------------------------  + | 32
        | /8  64       ---------------------------  + | 64
        | /16 96       -------------------  + | 96
        | /32 128      --------------------->

Ronneberger et al. 2015 (arXiv 1505.04597), with residual blocks and sums in place of concatenations.
"""

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.data.batching import Batch
from common.files.model_file import read_model, write_model
from ocr.configuration import FinderConfig
from ocr.segmentation.maps import CHANNELS

LOGITS, HEIGHTS = (0, 1, 4), (2, 3)
"""channels of the probabilities baseline, end and border, and of the heights above and below"""
WEIGHTS = (1.0, 0.5, 0.5)
"""of the losses of baseline, end and border; that of the heights is 1"""
POSITIVE_WEIGHT = 3.0
"""of pixels on what is to be found: they are few"""
STRIDE = 2
"""pixels of the page for one of the maps"""
DEEPEST = 32
"""height and width of pages must be multiples of this"""
KIND = "lines"
"""what the header of a model file calls such a network"""


class Block(nn.Module):
    """A convolution that may halve the size, and a residual block of two more."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(before, after, stride)
        self.second = _convolution(after, after)
        self.third = nn.Sequential(nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after))

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, after, H / stride, W / stride) of `maps` (B, before, H, W)."""
        maps = self.first(maps)
        return F.relu(maps + self.third(self.second(maps)))


class LineFinder(nn.Module):
    """The network, with its losses and its file.

    Args:
        config: the sizes.
        card: facts about the model, which its file keeps.
    """

    def __init__(self, config: FinderConfig, card: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.config, self.card = config, card or {}
        self.carried: dict[str, Tensor] = {}
        sizes = config.channels
        self.stem = _convolution(1, sizes[0], STRIDE, size=5)
        self.down = nn.ModuleList(Block(a, b, 2) for a, b in pairwise(sizes))
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(sizes))
        self.up = nn.ModuleList(_convolution(size, size) for size in sizes[:-1])
        self.head = nn.Conv2d(sizes[0], len(CHANNELS), 1)

    def logits(self, ink: Tensor) -> Tensor:
        """Return (B, 5, H/2, W/2): logits of the probabilities, and logarithms of heights.

        Args:
            ink: (B, 1, H, W) from 0, paper, to 1; H and W are multiples of 32.
        """
        maps = [self.stem(ink)]
        for block in self.down:
            maps.append(block(maps[-1]))
        wide = maps.pop()
        for narrow, up in zip(reversed(self.narrow), reversed(self.up), strict=True):
            wide = F.interpolate(narrow(wide), scale_factor=2.0, mode="nearest")
            wide = up(wide + maps.pop())
        return self.head(wide)

    def forward(self, ink: Tensor) -> Tensor:
        """Return the maps (B, 5, H/2, W/2) of `ink` (B, 1, H, W): probabilities and logarithms of heights."""
        baseline, end, above, below, border = self.logits(ink).unbind(1)
        return torch.stack([baseline.sigmoid(), end.sigmoid(), above, below, border.sigmoid()], dim=1)

    def losses(self, batch: Batch) -> tuple[Tensor, int]:
        """Return the sum of the losses of a batch, and 0.

        Each map of probabilities has the cross-entropy and the soft Dice loss (Milletari et al. 2016, arXiv
        1606.04797), heights the smooth L1 loss on the pixels where they are known.
        """
        logits, targets = self.logits(batch.signals.unsqueeze(1)).float(), batch.targets
        total = logits.new_zeros(())
        for weight, channel in zip(WEIGHTS, LOGITS, strict=True):
            logit, target = logits[:, channel], targets[:, channel]
            positive = logit.new_tensor(POSITIVE_WEIGHT)
            entropy = F.binary_cross_entropy_with_logits(logit, target, pos_weight=positive)
            share = logit.sigmoid()
            dice = 1 - (2 * (share * target).sum() + 1) / (share.sum() + target.sum() + 1)
            total = total + weight * (entropy + dice)
        known = targets[:, HEIGHTS] != 0
        error = F.smooth_l1_loss(logits[:, HEIGHTS], targets[:, HEIGHTS], reduction="none", beta=0.2)
        total = total + (error * known).sum() / known.sum().clamp(min=1)
        return total * len(batch.signals), 0

    def save(self, path: Path) -> None:
        """Write the model file."""
        tensors = {name: tensor.detach().cpu().numpy() for name, tensor in self.state_dict().items()}
        write_model(path, tensors, {"kind": KIND, "config": asdict(self.config), "card": self.card})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the network in a model file, in evaluation mode.

        Raises:
            ValueError: the file is no model, or one of another kind.
        """
        header, tensors = read_model(path)
        if header.get("kind") != KIND:
            raise ValueError(f"{path}: is a model of another kind; name one of `ocr train-lines`")
        config = FinderConfig(channels=tuple(header["config"]["channels"]))
        model = cls(config, header["card"])
        model.load_state_dict({name: torch.from_numpy(np.array(one)) for name, one in tensors.items()})
        return model.eval()


def _convolution(before: int, after: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )
