"""Pronunciations of words in the case and the Unicode form of texts."""

from collections.abc import Sequence

from common.decoding.beam.hot_words import in_case_of
from common.text.phonetic.pronunciations import Pronunciation
from common.text.symbols import Alphabet


def in_writing_of(
    texts: str, pronunciations: Sequence[Pronunciation], unicode_form: str
) -> list[Pronunciation]:
    """Return pronunciations, each once, whose words are written as `texts` are.

    A letter that is not in the texts has the other case if that is in them. The words of a dictionary in
    lower case thus become those of texts in capitals.
    """
    form = Alphabet((), unicode_form)
    words = in_case_of(
        sorted(set(form.normalise(texts))), [form.normalise(one.word) for one in pronunciations]
    )
    said = (Pronunciation(word, one.phones) for word, one in zip(words, pronunciations, strict=True))
    return list(dict.fromkeys(said))
