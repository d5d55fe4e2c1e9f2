"""Results are compared with the sum over all paths of all phones, and the best of all rows of words."""

import itertools
import math
from functools import cache

import numpy as np
import pytest
import torch

from common.decoding.beam import fusion as fusion_module
from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.hypothesis import Hypothesis
from common.decoding.stream import decoding_stream
from common.language.kneser_ney import estimate
from common.language.ngram import NGram
from common.network.ctc import collapse
from common.text.phonetic.phones import SPACE_LABEL, Phones
from common.text.phonetic.pronunciations import Pronunciation
from common.text.symbols import Alphabet

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


def test_arrays_and_tensors_give_the_same_words():
    log_probs = np.concatenate([random_log_probs(seed, 20) for seed in range(4)])
    lengths = np.array([20, 0, 20, 7])
    both = decoder(beam_width=12), decoder(beam_width=12)
    arrays = both[0].decode(log_probs, lengths, 5)
    tensors = both[1].decode(torch.tensor(log_probs), lengths, 5)
    for ours, theirs in zip(arrays, tensors, strict=True):
        assert [text_of(one) for one in ours] == [text_of(one) for one in theirs]
        assert [one.score for one in ours] == pytest.approx([one.score for one in theirs])


def test_a_search_goes_on_in_new_tables_as_in_one(monkeypatch):
    log_probs, lengths = random_log_probs(3, 120), np.array([120])
    ((expected,),) = decoder(beam_width=20).decode(log_probs, lengths)
    monkeypatch.setattr(fusion_module, "TABLE_BYTES", 0)
    small = decoder(beam_width=20)
    table = small.search.fusion.table()
    ((found,),) = small.decode(log_probs, lengths)
    assert small.search.fusion.table() is not table
    assert found.hits == expected.hits
    assert found.score == pytest.approx(expected.score, abs=1e-3)


def test_texts_are_those_of_the_hypotheses():
    log_probs = np.concatenate([random_log_probs(seed, 30) for seed in range(8)])
    lengths = np.array([30, 0, 12, 30, 30, 5, 1, 29])
    for one in (decoder(beam_width=10), Decoder(PHONES)):
        found = one.decode(log_probs, lengths)
        assert one.texts(log_probs, lengths) == [text_of(best) for best, *_ in found]


@pytest.mark.parametrize("seed", range(3))
def test_words_that_sound_as_they_are_spelled_are_found_as_by_a_lexicon(seed):
    """Letters are phones here, without homophones, and the search of spelled words is the truth."""
    spelled = Alphabet((" ", *"abc"))
    words = ["a", "ab", "cab", "cb", "bb"]
    phones = Phones.of([Pronunciation(word, tuple(word)) for word in words])
    rng = np.random.default_rng(seed)
    known = estimate([" ".join(rng.choice(words, rng.integers(1, 6))) for _ in range(40)], 3, "word")
    scores = 2 * rng.standard_normal((4, 50, 5))
    log_probs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    config = DecodingConfig("beam", beam_width=15, lm_weight=0.7, word_bonus=1.5)
    lengths = np.array([50, 44, 3, 50])
    expected = Decoder(spelled, config, [known], quiet=True).decode(log_probs, lengths)
    found = Decoder(phones, config, [known], quiet=True).decode(log_probs, lengths)
    for (ours,), (theirs,) in zip(found, expected, strict=True):
        truth = spelled.decode(hit.label for hit in theirs.hits)
        assert phones.decode(hit.label for hit in ours.hits) == truth
        assert ours.score == pytest.approx(theirs.score, abs=1e-3)


def heard(*labels: int) -> np.ndarray:
    """Return log-probabilities (1, S, C) of steps that are almost sure of these labels."""
    rows = np.full((1, len(labels), PHONES.classes), 0.01)
    rows[0, np.arange(len(labels)), labels] = 1 - 0.01 * (PHONES.classes - 1)
    return np.log(rows)


def test_a_word_has_the_steps_of_its_phones():
    log_probs = heard(0, T, U, U, 0, SPACE_LABEL, 0, T, 0, U, 0, T)
    for one in (decoder(beam_width=20, unknown_word_penalty=0.0), Decoder(PHONES)):
        ((best,),) = one.decode(log_probs, np.array([12]))
        first, _, last = best.hits
        assert text_of(best) in ("TO TUT", "TWO TUT", "TOO TUT")
        assert [(hit.start, hit.end) for hit in best.hits] == [(1, 4), (5, 6), (7, 12)]
        assert (first.peak, last.peak) == (1, 7)


def test_the_confidence_of_a_word_is_the_product_of_those_of_its_phones():
    ((best,),) = Decoder(PHONES).decode(heard(0, T, T, U, 0), np.array([5]))
    assert best.hits[0].confidence == pytest.approx((1 - 0.01 * (PHONES.classes - 1)) ** 2)


def test_greedy_decoding_writes_the_first_word_that_sounds_so_and_else_phones():
    said = (T, U, SPACE_LABEL, U, SPACE_LABEL, U, 0, U, T, SPACE_LABEL, T, SPACE_LABEL)
    assert Decoder(PHONES).texts(heard(*said), np.array([12])) == ["TO U U-U-T U "]


def test_the_language_model_chooses_between_words_that_sound_alike():
    texts = ["I GO TO YOU", "WE GO TO THEM", "TWO MEN", "THE TWO MEN"]
    said = "I AY|GO G OW|TO T UW|TWO T UW|YOU Y UW|WE W IY|THEM DH EH M|MEN M EH N|THE DH AH"
    rows = map(str.split, said.split("|"))
    phones = Phones.of([Pronunciation(word, tuple(sounds)) for word, *sounds in rows])
    one = Decoder(phones, DecodingConfig("beam"), [estimate(texts, 2, "word")], quiet=True)
    for text in ("WE GO TO YOU", "TWO MEN GO", "THE TWO GO TO THE MEN"):
        path = [label for label in phones.encode(text) for label in (label, 0)]
        log_probs = np.full((1, len(path), phones.classes), -5.0)
        log_probs[0, np.arange(len(path)), path] = -0.1
        assert one.texts(log_probs, np.array([len(path)])) == [text]


def test_without_a_penalty_only_words_of_the_model_or_lexicon_are_found():
    for penalty, text in ((None, "TWO"), (1.0, "TUT")):
        config = DecodingConfig("beam", unknown_word_penalty=penalty)
        one = Decoder(PHONES, config, words=["YOU", "TWO"], quiet=True)
        assert one.texts(heard(T, U, T), np.array([3])) == [text]


def test_words_without_a_pronunciation_are_named(caplog):
    Decoder(PHONES, DecodingConfig("beam"), words=["TWO", "THREE"])
    assert "1 of 2 words have no pronunciation and cannot be found, such as 'THREE'" in caplog.text


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"words": ["THREE"]}, "no word that is allowed has a pronunciation"),
        ({"hot_words": ["TWO"]}, "hot words and rescoring are for models of characters"),
        ({"models": [estimate(["TO U"], 2, "character")]}, "searched with one model of n-grams over words"),
    ],
)
def test_what_does_not_go_with_phones_is_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        Decoder(PHONES, DecodingConfig("beam"), quiet=True, **given)


def test_a_stream_of_a_model_of_phones_is_refused():
    with pytest.raises(ValueError, match="finds the words of a whole utterance together"):
        decoding_stream(Decoder(PHONES))
