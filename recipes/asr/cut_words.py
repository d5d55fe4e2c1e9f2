"""Write a manifest of single words, as segments of recordings whose words have known positions.

    python recipes/asr/cut_words.py ALIGNED.jsonl OUT.jsonl --words ONE TWO THREE

ALIGNED is the output of `asr align -f json`, or a manifest with "words": [[text, start, end], ...]. A
recording of one word does not need the position of its word.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.corpora import CorpusConfig, read_corpus
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.manifest import Example, Part, write_manifest

SHORTEST_S = 0.08


@dataclass(frozen=True)
class Cut:
    """Cut words out of recordings."""

    aligned: Positional[Path]
    """manifest, or output of `asr align`, with positions of words"""
    output: Positional[Path]
    """manifest to write"""
    words: tuple[str, ...] = ()
    """words to cut; all if none are given"""
    copies: int = 1
    """how often each word is cut, with other margins each time"""
    margin_s: tuple[float, float] = (-0.04, 0.08)
    """range of the margin before and after a word, drawn anew for each copy; a negative margin cuts into
    the word, by at most a third of it at each end"""
    seed: int = 1
    """seed of the margins"""


def cuts(example: Example, command: Cut, rng: np.random.Generator) -> list[Example]:
    """Return the words of an example, each as a segment of its recording."""
    found = []
    words, whole = example.words, example.length
    if not words and whole and len((example.text or "").split()) == 1:
        words = (Part(example.text or "", 0.0, whole),)
    for number, part in enumerate(words):
        if command.words and part.text not in command.words:
            continue
        before = words[number - 1].end if number else 0.0
        after = words[number + 1].start if number + 1 < len(words) else whole or part.end
        for _ in range(command.copies):
            start, end = _edges(part, before, after, command, rng)
            if end - start >= SHORTEST_S:
                source = f"{example.source}[{start:.3f},{end:.3f}]"
                found.append(Example(source, part.text, round(end - start, 3), example.speaker))
    return found


def _edges(
    part: Part, before: float, after: float, command: Cut, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the start and end of a cut: those of the word with random margins, outside its neighbours."""
    first, last = np.maximum(rng.uniform(*command.margin_s, 2), (part.start - part.end) / 3)
    return max(0.0, before, part.start - first), min(after, part.end + last)


def main() -> None:
    """Write the manifest."""
    command = parse(Cut)
    rng = np.random.default_rng(command.seed)
    corpus = read_corpus(str(command.aligned), CorpusConfig())
    examples = [cut for example in corpus.examples for cut in cuts(example, command, rng)]
    for problem in corpus.problems:
        print(f"left out: {problem}")
    write_manifest(command.output, examples)
    print(f"{command.output}: {len(examples)} words of {len(corpus.examples)} recordings")


if __name__ == "__main__":
    main()
