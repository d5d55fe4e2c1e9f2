"""The verb train."""

import logging

from common.commands.flags.train import TrainFlags
from common.recognition.modality import Modality
from common.training.run import train


def run(modality: Modality, arguments: TrainFlags) -> None:
    """Train a model."""
    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):  # importing them sets INFO
        logging.getLogger(name).setLevel(logging.WARNING)
    train(modality, arguments)
