"""Drop single quotation marks from English texts, and keep apostrophes: quotes.py TEXT ... > OUT.

    'I don't,' said he. 'Tis the boys' place.    ->    I don't, said he. 'Tis the boys' place.

Files may be compressed by xz. A mark stays before one of the words in SHORTENED, and after a letter or a
digit; so does the closing one of 'Earnshaw', which cannot be told from that of "the boys'".
"""

import lzma
import re
import sys

SHORTENED = (
    "bout cause d e em ere gainst im ll longshore mid midst neath nother nuff ome ow pon prentice re s"
    " sblood scuse sdeath spect stead tain taint tis tisn tother twas twasn tween twere twill twixt twon"
    " twould un us ve wouldn zackly zounds"
)
"""words, and what is left of them, that begin with an apostrophe"""
MARK = re.compile(r"(?<![^\W_])'([^\W\d_]*)")
"""a mark without a letter or a digit on its left, and the letters after it"""


def without_quotes(text: str) -> str:
    """Return `text` without the single quotation marks that are no apostrophes."""
    shortened = set(SHORTENED.split())
    return MARK.sub(lambda found: found[0 if found[1].lower() in shortened else 1], text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        opened = lzma.open if name.endswith(".xz") else open
        with opened(name, "rt", encoding="utf-8") as lines:
            sys.stdout.writelines(map(without_quotes, lines))
