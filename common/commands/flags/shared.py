"""Flags that several verbs have."""

from typing import Annotated, Any, Literal

from common.command_line.flag import Flag
from common.command_line.parser import UsageError
from common.recognition.modality import Modality


def _corpus_config(modality: Modality) -> type:
    return modality.corpus_config


Corpus = Annotated[Any, Flag(flat=True, kind=_corpus_config)]
"""the modality's settings for reading a corpus"""


def _segmentation_config(modality: Modality) -> type:
    return modality.segmentation_config


Segmentation = Annotated[Any, Flag(flat=True, kind=_segmentation_config)]
"""the modality's settings for cutting sources into segments"""


def _format_config(modality: Modality) -> type:
    return modality.format_config


FormatSettings = Annotated[Any, Flag(flat=True, kind=_format_config)]
"""the settings of the modality's own formats"""

BatchBudget = Annotated[
    float | None,
    Flag(
        help="Padded length of one batch, in {length_unit}. A lower value needs less memory.",
        default="{batch_budget:g}",
    ),
]

UnicodeForm = Literal["NFC", "NFD", "NFKC", "NFKD", "none"]


def check_budget(batch_budget: float | None) -> None:
    """Raise UsageError for a batch budget that no signal fits into."""
    if batch_budget is not None and not batch_budget > 0:
        raise UsageError(f"--batch-budget is {batch_budget:g}; give a length above 0")


def check_threads(threads: int) -> None:
    """Raise UsageError for a negative number of threads."""
    if threads < 0:
        raise UsageError(f"--threads is {threads}; give 1 or more, or 0 for one for each core")
