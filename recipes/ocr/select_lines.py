"""Cut the lines of corpora in PAGE or ALTO whose letters are all of certain scripts.

    python recipes/ocr/select_lines.py OUT CORPUS [CORPUS ...] --scripts latin greek

OUT/00000.png with 00000.gt.txt and so on. A model that learns from many sources would otherwise take over
every sign that occurs once in one of them.
"""

import argparse
import logging
import sys
import unicodedata
from pathlib import Path

from common.files.source import part_of
from ocr.corpora import CorpusConfig, read_corpus
from ocr.segmentation.xml_lines import pack

log = logging.getLogger(__name__)


def foreign(text: str, scripts: frozenset[str]) -> list[str]:
    """Return the letters of `text` that are of none of `scripts`, which are in capitals."""
    letters = (character for character in text if unicodedata.category(character)[0] == "L")
    return [letter for letter in letters if unicodedata.name(letter, "").split(" ")[0] not in scripts]


def select(out: Path, corpora: list[str], scripts: frozenset[str]) -> int:
    """Write the lines, say how many are left out, and return how many are written."""
    out.mkdir(parents=True, exist_ok=True)
    written = 0
    for path in corpora:
        corpus, left_out = read_corpus(path, CorpusConfig()), 0
        for problem in corpus.problems:
            log.warning("%s", problem)
        for example in corpus.examples:
            if not part_of(example.source):
                raise ValueError(f"{example.source}: is no line of a page; name folders of PAGE or ALTO")
            if not example.text or foreign(example.text, scripts):
                left_out += 1
                continue
            ending, content = pack(example.source)
            (out / f"{written:05}{ending}").write_bytes(content)
            (out / f"{written:05}.gt.txt").write_text(f"{example.text}\n", encoding="utf-8")
            written += 1
        log.info("%s: %d lines, %d of them left out", path, len(corpus.examples), left_out)
    return written


def main() -> None:
    """Read the command line and write the lines."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--scripts", nargs="+", default=["latin", "greek"], help="as Unicode names begin")
    given = parser.parse_args()
    try:
        select(given.out, given.corpora, frozenset(map(str.upper, given.scripts)))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
