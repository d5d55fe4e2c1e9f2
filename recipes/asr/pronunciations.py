"""Pairs of words and their phones from a dictionary, and pronunciations of words that it lacks.

    python recipes/asr/pronunciations.py pairs DICTIONARY FOLDER --dev 2000
    python recipes/asr/pronunciations.py missing DICTIONARY MODEL train.jsonl words.npz > more.txt

`pairs` writes FOLDER/train.tsv and dev.tsv, lines of word, tab, phones, for recipes/core/text.py; the files
share no word. `missing` lets such a model pronounce what stands in manifests and in n-grams over words, but
not in DICTIONARY.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from text import TEXT

from asr.corpora import CorpusConfig, read_corpus
from common.language.loading import load_ngrams
from common.language.ngram import SPECIAL
from common.recognition.recognizer import Recognizer
from common.text.phonetic.pronunciations import Pronunciation, read_pronunciations, write_lines

log = logging.getLogger(__name__)

NAMED = 20
"""words that a message names"""


def write_pairs(dictionary: Path, folder: Path, dev: int, seed: int) -> None:
    """Write the first pronunciation of each word: of `dev` words into dev.tsv, of others into train.tsv."""
    first = {word.lower(): phones for word, phones in reversed(read_pronunciations(dictionary))}
    words = sorted(first)
    held_out = set(np.random.default_rng(seed).permutation(len(words))[:dev].tolist())
    folder.mkdir(parents=True, exist_ok=True)
    for name, here in (("train", False), ("dev", True)):
        chosen = (word for place, word in enumerate(words) if (place in held_out) == here)
        rows = [f"{word}\t{' '.join(first[word])}\n" for word in chosen]
        (folder / f"{name}.tsv").write_text("".join(rows), encoding="utf-8")


def words_of(paths: Sequence[Path]) -> Iterator[str]:
    """Yield the words of manifests and of n-grams over words, in lower case."""
    for path in paths:
        if path.suffix == ".npz":
            yield from map(str.lower, load_ngrams(path).tokens[len(SPECIAL) :])
        else:
            for example in read_corpus(str(path), CorpusConfig()).examples:
                yield from (example.text or "").lower().split()


def missing(dictionary: Path, model: Path, paths: Sequence[Path]) -> list[Pronunciation]:
    """Return what `model` makes of the words of `paths` that `dictionary` lacks and that have a letter.

    Words for which it writes something else than phones of the dictionary are left out.
    """
    read = read_pronunciations(dictionary)
    known = {one.word.lower() for one in read}
    phones = {phone for one in read for phone in one.phones}
    lacking = sorted({word for word in words_of(paths) if word not in known and any(map(str.isalpha, word))})
    said = Recognizer.load(TEXT, model).transcribe(word.encode() for word in lacking)
    found = [Pronunciation(word, tuple(one.text.split())) for word, one in zip(lacking, said, strict=True)]
    good = [one for one in found if one.phones and phones.issuperset(one.phones)]
    if unsaid := sorted({one.word for one in found} - {one.word for one in good}):
        named = ", ".join(unsaid[:NAMED])
        log.warning("%d of %d words are left out, not written in phones: %s", len(unsaid), len(found), named)
    return good


def main() -> None:
    """Read the command line and write what it asks for."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    pairs = verbs.add_parser("pairs")
    pairs.add_argument("dictionary", type=Path)
    pairs.add_argument("folder", type=Path)
    pairs.add_argument("--dev", type=int, default=2000, help="words that are held out")
    pairs.add_argument("--seed", type=int, default=1)
    lacking = verbs.add_parser("missing")
    lacking.add_argument("dictionary", type=Path)
    lacking.add_argument("model", type=Path)
    lacking.add_argument("paths", type=Path, nargs="+")
    given = parser.parse_args()
    if given.verb == "pairs":
        write_pairs(given.dictionary, given.folder, given.dev, given.seed)
    else:
        sys.stdout.write(write_lines(missing(given.dictionary, given.model, given.paths)))


if __name__ == "__main__":
    main()
