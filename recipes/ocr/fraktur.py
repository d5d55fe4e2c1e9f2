"""Write a text as Fraktur spells it, with long s and double hyphens: fraktur.py TEXT > OUT.

A long s stands wherever no word or syllable ends; here, wherever a letter follows, which is wrong inside some
compounds.
"""

import re
import sys
from collections.abc import Iterable, Iterator

from common.files.plain_text import read_lines

LONG_S = re.compile(r"s(?=[^\W\d_])")
HYPHEN = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_]|[\s),.;]|$)")


def in_fraktur(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines with long s and double hyphens."""
    return (HYPHEN.sub("⸗", LONG_S.sub("ſ", line)) for line in lines)


if __name__ == "__main__":
    for one in in_fraktur(read_lines(sys.argv[1])):
        sys.stdout.write(f"{one}\n")
