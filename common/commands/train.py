"""The verb train."""

import logging

from common.commands.flags.train import TrainFlags
from common.recognition.modality import Modality


def run(modality: Modality, arguments: TrainFlags) -> None:
    """Train a model."""
    from common.training.run import train

    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):  # importing them sets INFO
        logging.getLogger(name).setLevel(logging.WARNING)
    train(modality, arguments)
