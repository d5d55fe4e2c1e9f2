"""The flags of the verb evaluate."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from common.command_line.flag import Flag, Flat, Positional
from common.commands.flags.decoding import DecodingFlags
from common.commands.flags.shared import BatchBudget, Corpus, Segmentation
from common.recognition.loading import Device

PAGES_HELP = (
    "Find the lines of pages anew, and compare whole pages with their PAGE or ALTO files: lines found,"
    " missed, merged and split, their order, and error rates of texts in order and free of order."
)


@dataclass(frozen=True, kw_only=True)
class EvaluateFlags:
    """Measure the error rates of a model on transcribed examples."""

    model: Positional[Path]
    """Model file, or the name of a bundled model. Several, with commas between, vote on each
    text."""
    data: Positional[str]
    """A folder or manifest, or several with commas between."""
    report: Path | None = None
    """Write an HTML page that shows each example with its reference and hypothesis, worst first."""
    json: Path | None = None
    """Write all figures as JSON."""
    tune: int | None = None
    """Try this many settings of the decoder on every other example, and measure the best on the others."""
    tune_metric: Literal["cer", "wer"] = "cer"
    """Error rate that tuning minimises."""
    save_tuned: Path | None = None
    """Write the model with the tuned settings, the language model and the lexicon inside to this file."""
    decoding: Flat[DecodingFlags] = field(default_factory=DecodingFlags)
    whole_pages: Annotated[bool, Flag(help=PAGES_HELP, needs="compare_pages")] = False
    segmentation: Segmentation = None
    batch_budget: BatchBudget = None
    device: Device = "auto"
    """Where the network is computed."""
    threads: int = 0
    """Threads that compute the network; 0: one for each core."""
    corpus: Corpus
