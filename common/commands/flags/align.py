"""The flags of the verb align."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from common.command_line.flag import Flag, Positional
from common.commands.flags.shared import BatchBudget, Corpus
from common.recognition.loading import Device


@dataclass(frozen=True, kw_only=True)
class AlignFlags:
    """Find where each word and character of known texts is: in transcribed examples, or in one file."""

    model: Positional[Path]
    """Model file."""
    data: Positional[str]
    """A folder or manifest, or several with commas between; with --text or --text-file, one file."""
    text: str | None = None
    """Text of that file."""
    text_file: Path | None = None
    """UTF-8 file with the text of that file; its lines are joined to one text."""
    format: Annotated[Literal["json", "tsv", "ctm", "all"], Flag(aliases=("-f",))] = "json"
    """json: words and characters with positions and confidences, one line for each input; tsv: one row for
    each word; ctm: NIST's rows of words, with source, start and duration."""
    output_dir: Annotated[Path | None, Flag(aliases=("-o",))] = None
    """Write one file STEM.FORMAT for each input into this folder, instead of standard output."""
    batch_budget: BatchBudget = None
    device: Device = "auto"
    """Where the network is computed."""
    threads: int = 0
    """Threads that compute the network; 0: one for each core."""
    corpus: Corpus
