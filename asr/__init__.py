"""Text from recordings of speech."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.recognizer import Recognizer


def load(model: str | PathLike[str]) -> "Recognizer":
    """Return the recognizer in the file `model`; ValueError says why a file is not one."""
    from asr.modality import ASR
    from common.recognizer import Recognizer

    return Recognizer.load(ASR, Path(model))
