"""The scorer of words by their sound, from the settings of a decoder."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from common.decoding.pronunciation.scorer import PronunciationScorer, WordScores
from common.decoding.pronunciation.tree import PronunciationTree
from common.language.ngram import SPECIAL, NGram
from common.text.phonetic.phones import Phones

if TYPE_CHECKING:
    from common.language.recurrent_model import RecurrentModel

log = logging.getLogger(__name__)


def scorer_of(
    phones: Phones,
    models: "Sequence[NGram | RecurrentModel]",
    words: Sequence[str] | None,
    weight: float,
    bonus: float,
    penalty: float | None,
    level: int,
) -> PronunciationScorer:
    """Return the scorer of words by their sound.

    Possible are the words of the lexicon, else those of the language model, else all; with a penalty all
    others that have a pronunciation, too.

    Args:
        phones: the labels and the pronunciations.
        models: one n-gram model over words, or none.
        words: the lexicon, or None.
        weight: weight of the model's natural log-probabilities.
        bonus: added for each word.
        penalty: subtracted for words outside the lexicon; None forbids them.
        level: at which words without a pronunciation are logged.

    Raises:
        ValueError: a model over characters or a recurrent one, or no possible word has a pronunciation.
    """
    model: NGram | None = None
    for one in models:
        if not isinstance(one, NGram) or one.unit != "word" or model is not None:
            raise ValueError(
                "a model of phones is searched with one model of n-grams over words; name it with --lm"
            )
        model = one
    listed = words if words is not None else model.tokens[len(SPECIAL) :] if model else phones.words
    known = set(phones.words)
    unsaid = [word for word in listed if word not in known]
    if unsaid:
        sentence = "%d of %d words have no pronunciation and cannot be found, such as %s"
        log.log(level, sentence, len(unsaid), len(listed), ", ".join(map(repr, unsaid[:5])))
    wanted = set(listed)
    inside = np.array([word in wanted for word in phones.words])
    tree = PronunciationTree(phones, inside if penalty is None else None)
    penalties = np.where(inside, 0.0, penalty or 0.0)
    scores = WordScores(tree, phones.words, model, weight, bonus, penalties)
    return PronunciationScorer(scores, phones.classes)
