"""Targets that are phones: the pronunciations of the words to train on (`--pronunciations`)."""

import logging
from collections import Counter
from collections.abc import Sequence

from common.command_line.counting import counted
from common.data.manifest import Example
from common.decoding.pronunciation.writing import in_writing_of
from common.text.phonetic.phones import Phones
from common.text.phonetic.pronunciations import read_pronunciations
from common.text.symbols import Symbols
from common.training.preparation import corpus_paths

log = logging.getLogger(__name__)

WORDS_SHOWN = 8
"""words without a pronunciation that a message names"""


def phones_for(
    paths: str | None, examples: Sequence[Example], other: Symbols | None, unicode_form: str
) -> Phones | None:
    """Return the phones to learn: those of files, or of the model to start from; None to learn characters.

    Words of the files are taken in the case of the texts if these have one case alone.

    Args:
        paths: files of pronunciations, with commas between them, or None.
        examples: to train on.
        other: the symbols of the model to start from, or None.
        unicode_form: of the texts.

    Raises:
        ValueError: a file cannot be read.
    """
    if paths is None:
        return other if isinstance(other, Phones) else None
    read = [one for path in corpus_paths(paths) for one in read_pronunciations(path)]
    texts = " ".join(example.text or "" for example in examples)
    return Phones.of(in_writing_of(texts, read, unicode_form), unicode_form)


def with_pronunciations(examples: Sequence[Example], phones: Phones) -> tuple[list[Example], list[str]]:
    """Return the examples whose words all have a pronunciation, and one sentence for each other example."""
    good, problems, lacking = [], [], Counter[str]()
    for example in examples:
        unknown = phones.unknown(example.text or "")
        if unknown:
            lacking.update(unknown)
            name = f"{example.origin}: {example.source}" if example.origin else example.source
            named = ", ".join(map(repr, unknown[:WORDS_SHOWN]))
            problems.append(f"{name}: has no pronunciation of {named}; add it or drop the text")
        else:
            good.append(example)
    if problems:
        most = ", ".join(repr(word) for word, _ in lacking.most_common(WORDS_SHOWN))
        sentence = "%s left out for %s without a pronunciation, such as %s; add them to --pronunciations"
        log.warning(sentence, counted(len(problems), "text"), counted(len(lacking), "word"), most)
    return good, problems
