"""The flags of the verb align."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from common.command_line.flag import Flag, Positional
from common.commands.flags.shared import BatchBudget, Corpus
from common.recognition.loading import Device
from common.recognition.modality import Modality, NoSettings

TIMED_FORMAT_HELP = (
    "json: words and characters with positions and confidences, one line for each input; tsv: one row for"
    " each word; ctm: NIST's rows of words, with source, start and duration;{timed_formats_help} all: each of"
    " these, in a file of its own."
)


def _formats(modality: Modality) -> Any:
    return Literal[("json", "tsv", "ctm", *modality.timed_formats, "all")]


def _format_config(modality: Modality) -> type:
    return modality.format_config if modality.timed_formats else NoSettings


def _segmentation_config(modality: Modality) -> type:
    return NoSettings if modality.on_paper else modality.segmentation_config


@dataclass(frozen=True, kw_only=True)
class AlignFlags:
    """Find where each word and character of known texts is: in transcribed examples, or in one file.

    What only one of a long recording and its text has is named on standard error; the exit status is 0 unless
    nothing can be found. In a short one, every word is found somewhere.
    """

    model: Positional[str]
    """Model file, or the name of a bundled model; left out, the one that is installed for it."""
    data: Positional[str | None] = None
    """A folder or manifest, or several with commas between; with --text or --text-file, one file."""
    text: str | None = None
    """Text of that file."""
    text_file: Path | None = None
    """UTF-8 file with the text of that file. Of a long recording, the paragraphs between empty lines stay
    apart, or else the lines; of others, they are joined to one text."""
    format: Annotated[str, Flag(aliases=("-f",), help=TIMED_FORMAT_HELP, kind=_formats)] = "json"
    output_dir: Annotated[Path | None, Flag(aliases=("-o",))] = None
    """Write one file STEM.FORMAT for each input into this folder, instead of standard output."""
    format_settings: Annotated[Any, Flag(flat=True, kind=_format_config)] = None
    batch_budget: BatchBudget = None
    device: Device = "auto"
    """Where the network is computed."""
    threads: int = 0
    """Threads that compute the network; 0: one for each core."""
    segmentation: Annotated[Any, Flag(flat=True, kind=_segmentation_config)] = None
    corpus: Corpus
