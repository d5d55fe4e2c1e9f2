"""Write a manifest of lhotse for the tars that `asr shard` has written; lhotse reads their sound in place.

    python recipes/scale/to_lhotse.py "shards/{000..127}.tar" cuts.jsonl.gz

    cuts = lhotse.CutSet.from_file("cuts.jsonl.gz")
    sound = cuts[0].load_audio()

Needs: pip install lhotse, and tars on disk.  Gives: a cut for each utterance, with its text and its speaker.
"""

import shlex
import sys
from pathlib import Path

import soundfile
from lhotse import AudioSource, CutSet, Recording, SupervisionSegment
from lhotse.cut import Cut

from asr.modality import ASR
from common.data.manifest import Example
from common.files.source import absolute, stored
from common.files.tars.address import is_address
from common.files.tars.member import Member, tar_of
from common.training.preparation import corpus_paths, report_problems


def cut_of(example: Example) -> Cut:
    """Return the cut of an utterance in a tar; ValueError if lhotse cannot read it there."""
    source = example.source
    if not isinstance(source, Member) or is_address(source):
        raise ValueError(f"{source}: is not in a tar on disk; name tars as `asr shard` writes them")
    sound, tar = soundfile.info(stored(source)), tar_of(source)
    key = f"{Path(tar).stem}-{Path(source).stem.split('::')[-1]}"
    span = f"tail -c +{source.offset + 1} {shlex.quote(absolute(tar))} | head -c {source.size}"
    channels = list(range(sound.channels))
    recording = Recording(
        key, [AudioSource("command", channels, span)], sound.samplerate, sound.frames, sound.duration
    )
    said = SupervisionSegment(
        key, key, 0, sound.duration, channels if len(channels) > 1 else 0,
        text=example.text, speaker=example.speaker or None,
    )  # fmt: skip
    cut = recording.to_cut()
    cut.supervisions = [said]
    return cut


def main(paths: str, manifest: str) -> None:
    """Write the manifest; see the top of the file."""
    with CutSet.open_writer(manifest, overwrite=True) as written:
        for path in corpus_paths(paths):
            corpus = ASR.examples(path, ASR.corpus_config())
            report_problems(corpus.problems)
            for example in corpus.examples:
                written.write(cut_of(example))


if __name__ == "__main__":
    main(*sys.argv[1:])
