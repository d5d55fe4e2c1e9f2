"""The flags of the verb export."""

from dataclasses import dataclass
from pathlib import Path

from common.command_line.flag import Positional
from common.commands.flags.shared import Corpus


@dataclass(frozen=True, kw_only=True)
class ExportFlags:
    """Write a model as one ONNX file, which transcribes faster on a CPU and without torch."""

    model: Positional[Path]
    """Model file."""
    output: Positional[Path]
    """ONNX file to write."""
    int8: bool = False
    """Quantise the weights of LSTM layers to 8 bits: smaller and faster."""
    calibration: str | None = None
    """With --int8, a folder or manifest, such as the training data, on which the ranges of feature maps are
    measured: convolutions are quantised, too."""
    data: str | None = None
    """A folder or manifest on which error rates and speed are measured before and after the export."""
    threads: int = 0
    """Threads that compute while speed is measured; 0: one for each core."""
    corpus: Corpus
