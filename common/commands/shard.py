"""The verb shard: transcribed examples, written to tars for training."""

import logging
from collections.abc import Sequence

import numpy as np

from common.command_line.counting import counted
from common.command_line.parser import UsageError
from common.commands.flags.shard import ShardFlags
from common.commands.output import ItemsFailedError, writing
from common.data.manifest import Example
from common.data.shards.naming import TAR, tars_of
from common.data.shards.writing import write_tars
from common.recognition.modality import Modality
from common.training.preparation import load_examples, report_problems, with_text

log = logging.getLogger(__name__)

LEAST_DIGITS = 3
EXAMPLE_MB = 1
"""what an example has at most, as a guess from which the digits of the tars' numbers follow"""


def run(modality: Modality, arguments: ShardFlags) -> None:
    """Write the tars.

    Raises:
        ItemsFailedError: some examples are not in them.
    """
    from tqdm import tqdm

    if arguments.size_mb < 1:
        raise UsageError(f"--size-mb {arguments.size_mb}: give 1 or more")
    folder = arguments.output_dir
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if tars_of(str(folder)):
        raise ValueError(f"{folder}: has files that end in {TAR}; name a new folder")
    found, problems = load_examples(modality, arguments.data, arguments.corpus)
    examples, textless = with_text(found, modality.item)
    problems += textless
    if not examples:
        raise ValueError(f"{arguments.data}: none of its {modality.item}s has a text")
    digits = max(LEAST_DIGITS, len(str(len(examples) * EXAMPLE_MB // arguments.size_mb)))
    shown = tqdm(_ordered(examples, arguments), desc="writing", unit=f" {modality.item}s", disable=None)
    with writing(folder):
        written = write_tars(
            shown, folder, arguments.size_mb * 10**6, modality.pack, modality.measure, digits
        )
    problems += written.problems
    log.info(
        "%s: %s in %s", folder, counted(written.examples, modality.item), counted(len(written.tars), "tar")
    )
    if problems:
        report_problems(problems)
        raise ItemsFailedError(f"{modality.item}s that are not in the tars: {len(problems):,}")


def _ordered(examples: Sequence[Example], arguments: ShardFlags) -> Sequence[Example]:
    """Return examples in the order of the tars: each tar is to have some of everything."""
    if arguments.keep_order:
        return examples
    order = np.random.default_rng(arguments.seed).permutation(len(examples))
    return [examples[index] for index in order]
