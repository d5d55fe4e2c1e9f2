"""Write a manifest of lhotse for the tars that `asr shard` has written; lhotse reads their sound in place.

    python recipes/scale/to_lhotse.py "shards/{000..127}.tar" cuts.jsonl.gz

    cuts = lhotse.CutSet.from_file("cuts.jsonl.gz")
    sound = cuts[0].load_audio()

Needs: pip install lhotse, and tars on disk.  Gives: a cut for each utterance, with its text and its speaker.
"""

import shlex
import sys
from pathlib import Path

from lhotse import CutSet, Recording, SupervisionSegment
from lhotse.cut import Cut

from asr.modality import ASR
from common.data.manifest import Example
from common.files.source import absolute
from common.files.tars.address import is_address
from common.files.tars.member import Member, read_member, tar_of
from common.training.preparation import corpus_paths, report_problems


def cut_of(example: Example) -> Cut:
    """Return the cut of an utterance in a tar.

    Raises:
        ValueError: it is in no tar on disk, or is not what was written there.
    """
    source = example.source
    if not isinstance(source, Member) or is_address(source):
        raise ValueError(f"{source}: is not in a tar on disk; name tars as `asr shard` writes them")
    tar, name = tar_of(source), Path(source.split("::", 1)[1]).with_suffix("")
    recording = Recording.from_bytes(read_member(source), f"{Path(tar).stem}-{name}")
    (stored,) = recording.sources
    stored.type = "command"
    stored.source = f"tail -c +{source.offset + 1} {shlex.quote(absolute(tar))} | head -c {source.size}"
    cut = recording.to_cut()
    said = SupervisionSegment(
        cut.id, recording.id, 0, cut.duration, cut.channel, example.text, speaker=example.speaker or None
    )
    cut.supervisions = [said]
    return cut


def main(paths: str, manifest: str) -> int:
    """Write the manifest, and return how many utterances are not in it; see the top of the file."""
    problems = list[str]()
    with CutSet.open_writer(manifest, overwrite=True) as written:
        for path in corpus_paths(paths):
            corpus = ASR.examples(path, ASR.corpus_config())
            problems += corpus.problems
            for example in corpus.examples:
                try:
                    written.write(cut_of(example))
                except (ValueError, OSError) as error:
                    problems.append(str(error))
    report_problems(problems)
    return len(problems)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]) > 0)
    except ValueError as error:
        sys.exit(str(error))
