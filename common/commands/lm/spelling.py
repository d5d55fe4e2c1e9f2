"""The spelling of an alphabet: what a text becomes that is brought to the alphabet of a model."""

import logging
from collections import Counter
from pathlib import Path

from common.command_line.parser import UsageError
from common.files.model_file import read_model
from common.text.phonetic.phones import Phones
from common.text.spelling import spelled
from common.text.symbols import Alphabet

log = logging.getLogger(__name__)

SHOWN = 12
"""characters that are listed one by one"""


class Spelling(dict[int, str]):
    """How an alphabet writes each character: a table for `str.translate` that fills itself as they occur.

    Args:
        alphabet: its Unicode form is applied to all texts.
        is_limit: only its symbols are written; otherwise the alphabet gives the Unicode form alone.
    """

    def __init__(self, alphabet: Alphabet, is_limit: bool) -> None:
        super().__init__()
        self.alphabet, self.is_limit = alphabet, is_limit
        self.symbols = set(alphabet.symbols)
        self.seen: Counter[str] = Counter()  # since the last report

    def __missing__(self, code: int) -> str:
        self[code] = spelled(chr(code), self.symbols).text
        return self[code]

    def normalise(self, text: str) -> str:
        """Return a text in the spelling of the alphabet, in the order of its labels."""
        text = self.alphabet.spell(text)
        if not self.is_limit:
            return text
        self.seen.update(text)
        return self.alphabet.normalise(text.translate(self))

    def report(self, path: str) -> None:
        """Log the characters since the last report that the alphabet lacks, and what replaced them.

        Args:
            path: the text that held them.
        """
        kinds: dict[str, list[tuple[str, int]]] = {"respelled": [], "left out": [], "unknown": []}
        for character, count in self.seen.most_common():
            text, why = spelled(character, self.symbols)
            if why in kinds:
                shown = f"{character!r} as {text!r}" if why == "respelled" else repr(character)
                kinds[why].append((shown, count))
        self.seen.clear()
        for kind, found in kinds.items():
            if found:
                total = sum(count for _, count in found)
                listed = ", ".join(f"{shown} ({count:,})" for shown, count in found[:SHOWN])
                more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
                log.info(
                    "%s: not in the alphabet, %s: %s times, %s%s", path, kind, f"{total:,}", listed, more
                )


def read_spelling(like: Path | None, unicode_form: str | None) -> Spelling:
    """Return the spelling of the model file `like`, or that of a Unicode form alone.

    Raises:
        ValueError: a file without an alphabet, or one of another Unicode form than `unicode_form`.
    """
    if like is None:
        return Spelling(Alphabet((), unicode_form or "NFC"), is_limit=False)
    described = read_model(like).header.get("alphabet")
    if not isinstance(described, dict):
        raise ValueError(f"{like}: has no alphabet; name a model that transcribes")
    try:
        phones = Phones.from_dict(described) if "phones" in described else None
        alphabet = phones.written if phones is not None else Alphabet.from_dict(described)
    except ValueError as error:
        raise ValueError(f"{like}: {error}") from None
    if unicode_form not in (None, alphabet.unicode_form):
        raise UsageError(
            f"--unicode-form {unicode_form}: {like} wants {alphabet.unicode_form}; leave the flag out"
        )
    return Spelling(alphabet, is_limit=True)
