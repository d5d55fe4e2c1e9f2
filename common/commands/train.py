"""The verb train."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from common.commands.flags import flat
from common.recognition.modality import Modality


def arguments(modality: Modality) -> type:
    """Return the dataclass whose fields are the flags."""
    from common.recognition.configuration import EncoderConfig, HeadConfig
    from common.training.optimisation import TrainingConfig

    parts = modality.training()

    @dataclass(frozen=True)
    class Train:
        """Learn from transcribed examples; the best model is DIR/best.safetensors."""

        train: Positional[str]
        """What to learn from: a folder or manifest, or several with commas between."""
        dev: Positional[str]
        """What to measure on after each epoch; never learnt from."""
        run: Path
        """Folder for the model, checkpoints and logs."""
        resume: bool = False
        """Go on with the run in that folder, exactly where its last checkpoint was written."""
        start_from: Path | None = None
        """Begin with the weights of this model instead of random ones; its architecture must be the same."""
        unicode_form: Literal["NFC", "NFD", "NFKC", "NFKD", "none"] = "NFC"
        """Form the texts are brought to, here and in every later comparison."""
        training: flat(TrainingConfig) = field(default_factory=TrainingConfig)  # type: ignore[valid-type]
        encoder: flat(EncoderConfig) = field(default_factory=EncoderConfig)  # type: ignore[valid-type]
        head: flat(HeadConfig) = field(default_factory=HeadConfig)  # type: ignore[valid-type]
        front_end: flat(parts.front_end_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=parts.front_end_config
        )
        signal: flat(modality.signal_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=modality.signal_config
        )
        corpus: flat(modality.corpus_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=modality.corpus_config
        )
        augment: parts.augment_config = field(  # type: ignore[valid-type,name-defined]
            default_factory=parts.augment_config
        )

    return Train


def run(modality: Modality, arguments: Any) -> None:
    """Train a model."""
    from common.training.run import RunConfig, train

    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):  # at INFO from their import on
        logging.getLogger(name).setLevel(logging.WARNING)
    train(modality, RunConfig(**vars(arguments)))
