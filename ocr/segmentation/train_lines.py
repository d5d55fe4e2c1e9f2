"""The verb train-lines. Its help needs no torch."""

import logging

from common.command_line.parser import UsageError
from common.recognition.modality import Modality
from ocr.segmentation.learning.flags import TrainLinesFlags


def run(_modality: Modality, arguments: TrainLinesFlags) -> None:
    """Train a network that finds lines."""
    if not 1 <= arguments.squares_per_batch <= arguments.squares:
        raise UsageError(
            f"--squares {arguments.squares} --squares-per-batch {arguments.squares_per_batch}: give 1 or"
            " more, and no more in a batch than there are"
        )
    from ocr.segmentation.learning.training import train_lines

    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):  # importing them sets INFO
        logging.getLogger(name).setLevel(logging.WARNING)
    train_lines(arguments)
