"""The flags of the verb shard."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from common.command_line.flag import Flag, Positional
from common.commands.flags.shared import Corpus


@dataclass(frozen=True, kw_only=True)
class ShardFlags:
    """Write transcribed examples to tars, which training reads in place of many small files."""

    data: Positional[str]
    """Folders, manifests or tars, with commas between."""
    output_dir: Annotated[Path, Flag(aliases=("-o",))]
    """Folder of the tars: 000.tar, 001.tar ... and 000.jsonl ..., the index of each."""
    size_mb: int = 256
    """About how large a tar gets, in megabytes."""
    seed: int = 0
    """Of the order in which examples are written."""
    keep_order: bool = False
    """Write examples in the order of the data."""
    corpus: Corpus
