"""Results are compared with the sum over all paths of all phones, and the best of all rows of words."""

import itertools
import math
from functools import cache

import numpy as np
import pytest

from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.hypothesis import Hypothesis
from common.language.kneser_ney import estimate
from common.language.ngram import NGram
from common.network.ctc import collapse
from common.text.phonetic.phones import SPACE_LABEL, Phones
from common.text.phonetic.pronunciations import Pronunciation

SAID = (("TO", "T U"), ("TWO", "T U"), ("U", "U"), ("TOO", "T U"), ("U", "T"), ("YOU", "U"), ("TUT", "T U T"))
"""three words that sound alike, twice two more, and a word with two pronunciations"""
PHONES = Phones.of([Pronunciation(word, tuple(phones.split())) for word, phones in SAID])
T, U = PHONES.labels["T"], PHONES.labels["U"]
WEIGHT, BONUS = 0.9, 0.4


@cache
def model() -> NGram:
    """Return a trigram model that does not know TUT, and in which homophones differ by what is around."""
    rng = np.random.default_rng(1)
    words = ["TO", "TWO", "TOO", "U", "YOU"]
    return estimate([" ".join(rng.choice(words, rng.integers(1, 6))) for _ in range(60)], 3, "word")


def random_log_probs(seed: int, steps: int) -> np.ndarray:
    """Return log-probabilities (1, S, C)."""
    scores = 1.5 * np.random.default_rng(seed).standard_normal((1, steps, PHONES.classes))
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def log_prob_of_words(words: tuple[str, ...]) -> float:
    return float(model().log_probs(list(words)).astype(np.float64).sum())


def best_by_listing(log_probs: np.ndarray, penalty: float | None) -> tuple[float, str]:
    """Return the score and the words of the best phones and words, of all that there are."""
    paths: dict[tuple[int, ...], float] = {}
    steps = log_probs[0]
    for path in itertools.product(range(PHONES.classes), repeat=len(steps)):
        labels = tuple(collapse(path))
        score = steps[np.arange(len(steps)), path].sum()
        paths[labels] = np.logaddexp(paths.get(labels, -math.inf), score)
    sounds: dict[tuple[int, ...], list[str]] = {}
    for word, phones in PHONES.pronunciations:
        if penalty is not None or word != "TUT":
            sounds.setdefault(tuple(PHONES.labels[phone] for phone in phones), []).append(word)
    best = (-math.inf, "")
    for labels, score in paths.items():
        runs = [
            tuple(run)
            for at_space, run in itertools.groupby(labels, lambda one: one == SPACE_LABEL)
            if not at_space
        ]
        joined = tuple(itertools.chain.from_iterable((SPACE_LABEL, *run) for run in runs))[1:]
        if labels not in (joined, (*joined, SPACE_LABEL)):
            continue  # a space follows a word
        for words in itertools.product(*(sounds.get(run, []) for run in runs)):
            gained = WEIGHT * log_prob_of_words(words) + BONUS * len(words)
            gained -= (penalty or 0) * words.count("TUT")
            best = max(best, (score + gained, " ".join(words)))
    return best


def decoder(**settings) -> Decoder:
    settings = {"beam_width": 400, "lm_weight": WEIGHT, "word_bonus": BONUS, **settings}
    return Decoder(PHONES, DecodingConfig("beam", **settings), [model()], quiet=True)


def text_of(hypothesis: Hypothesis) -> str:
    return PHONES.decode(hit.label for hit in hypothesis.hits)


@pytest.mark.parametrize("penalty", [None, 0.5])
@pytest.mark.parametrize("seed", range(8))
def test_the_search_finds_the_best_phones_and_words_of_all(seed, penalty):
    log_probs = random_log_probs(seed, 6)
    score, text = best_by_listing(log_probs, penalty)
    ((found,),) = decoder(unknown_word_penalty=penalty).decode(log_probs, np.array([6]))
    assert text_of(found).strip() == text
    assert found.score == pytest.approx(score, abs=1e-4)
