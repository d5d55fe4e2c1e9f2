"""Results are compared with lists by hand, or with the sum over all paths of all texts."""

import itertools
import logging
import math
import tracemalloc
import unicodedata

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.decoding.beam.hot_words import HotWord
from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.greedy import greedy
from common.decoding.hypothesis import Hypothesis
from common.language.kneser_ney import estimate
from common.network.ctc import collapse
from common.text.symbols import Alphabet

ALPHABET = Alphabet(tuple(" abcdefghijklmnopqrstuvwxyz"))
TINY = Alphabet((" ", "a", "b"))
BEAM = DecodingConfig("beam")


def heard(*steps: str | dict[str, float], alphabet: Alphabet = ALPHABET) -> np.ndarray:
    """Return log-probabilities (1, S, C) of these steps.

    Args:
        steps: a symbol that is almost certain, "-" for the blank; or probabilities, where other classes share
            the rest.
        alphabet: the alphabet of the symbols.
    """
    rows = []
    for step in steps:
        given = {step: 0.98} if isinstance(step, str) else step
        row = np.full(alphabet.classes, (1 - sum(given.values())) / (alphabet.classes - len(given)))
        for symbol, probability in given.items():
            row[0 if symbol == "-" else alphabet.symbols.index(symbol) + 1] = probability
        rows.append(row)
    return np.log(rows)[None]


def random_log_probs(rng: np.random.Generator, *shape: int, sharpness: float = 1.0) -> np.ndarray:
    scores = sharpness * rng.standard_normal(shape)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def text_of(hypothesis: Hypothesis, alphabet: Alphabet = ALPHABET) -> str:
    return alphabet.decode(hit.label for hit in hypothesis.hits)


def best_text(log_probs: np.ndarray, config: DecodingConfig = BEAM, **given) -> str:
    """Return the best text, after a check that `decode` and `texts` agree on it."""
    decoder = Decoder(ALPHABET, config, **given)
    lengths = np.array([log_probs.shape[1]])
    (text,) = decoder.texts(log_probs, lengths)
    ((found,),) = decoder.decode(log_probs, lengths)
    assert text_of(found) == text
    return text


def by_all_paths(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """Return the log-probability of each sequence of labels, summed over all paths through (S, C)."""
    S, C = log_probs.shape
    sums: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(C), repeat=S):
        labels = tuple(collapse(path))
        sums[labels] = sums.get(labels, 0.0) + math.exp(sum(log_probs[range(S), path]))
    return {labels: math.log(mass) for labels, mass in sums.items()}


def assert_same(one: list[Hypothesis], other: list[Hypothesis], exact: bool = True) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert left.score == (right.score if exact else pytest.approx(right.score, rel=1e-5))
        assert [hit[:3] for hit in left.hits] == [hit[:3] for hit in right.hits]
        assert [hit.peak for hit in left.hits] == [hit.peak for hit in right.hits]
        sure = [hit.confidence for hit in right.hits]
        assert [hit.confidence for hit in left.hits] == (sure if exact else pytest.approx(sure, rel=1e-4))


# --- greedy


def test_greedy_decoding_is_the_best_path_and_its_score():
    rng = np.random.default_rng(0)
    log_probs, lengths = random_log_probs(rng, 3, 20, 28), np.array([20, 7, 0])
    decoder = Decoder(ALPHABET)
    found = decoder.decode(log_probs, lengths, count=5)
    for row, length, hypotheses in zip(log_probs, lengths, found, strict=True):
        (only,) = hypotheses
        assert only.hits == greedy(row[:length])
        assert only.score == pytest.approx(row[:length].max(1).sum() if length else 0)
        for hit in only.hits:
            assert hit.confidence == pytest.approx(np.exp(row[hit.start : hit.end, hit.label]).max())
    assert decoder.texts(log_probs, lengths) == [text_of(one[0]) for one in found]


def test_a_temperature_leaves_text_and_places_and_changes_confidences():
    log_probs, lengths = heard("a", {"b": 0.5, "c": 0.3}, "-", "d"), np.array([4])
    ((plain,),) = Decoder(ALPHABET).decode(log_probs, lengths)
    ((soft,),) = Decoder(ALPHABET, DecodingConfig(temperature=2.0)).decode(log_probs, lengths)
    ((sharp,),) = Decoder(ALPHABET, DecodingConfig(temperature=0.5)).decode(log_probs, lengths)
    assert [hit.confidence for hit in plain.hits] == pytest.approx([0.98, 0.5, 0.98])
    for one in (soft, sharp):
        assert [(hit[:3], hit.peak) for hit in one.hits] == [(hit[:3], hit.peak) for hit in plain.hits]
        assert one.score == plain.score
    for low, middle, high in zip(soft.hits, plain.hits, sharp.hits, strict=True):
        assert low.confidence < middle.confidence < high.confidence
    roots = np.sqrt([0.5, 0.3, *[0.2 / 26] * 26])
    assert soft.hits[1].confidence == pytest.approx(roots[0] / roots.sum())


# --- beam search


def test_two_weaker_paths_can_sum_to_more_than_the_best_one():
    log_probs = np.log([[[0.6, 0.4], [0.6, 0.4]]])  # "" has 0.36 in one path, "a" 0.64 in three
    alphabet, lengths = Alphabet(("a",)), np.array([2])
    assert Decoder(alphabet).texts(log_probs, lengths) == [""]
    assert Decoder(alphabet, BEAM).texts(log_probs, lengths) == ["a"]
    ((a, nothing),) = Decoder(alphabet, BEAM).decode(log_probs, lengths, count=5)
    assert (a.score, nothing.score) == (pytest.approx(math.log(0.64)), pytest.approx(math.log(0.36)))
    assert nothing.hits == []


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_alternatives_are_the_likeliest_texts_best_first(seed, steps):
    log_probs = random_log_probs(np.random.default_rng(seed), 1, steps, 4)
    known = sorted(by_all_paths(log_probs[0]).items(), key=lambda one: -one[1])
    decoder = Decoder(TINY, DecodingConfig("beam", beam_width=1000))
    (found,) = decoder.decode(log_probs, np.array([steps]), count=7)
    assert [tuple(hit.label for hit in one.hits) for one in found] == [labels for labels, _ in known[:7]]
    assert [one.score for one in found] == pytest.approx([score for _, score in known[:7]])


def test_there_are_no_more_alternatives_than_texts_or_than_the_beam_is_wide():
    log_probs, lengths = random_log_probs(np.random.default_rng(0), 1, 1, 4), np.array([1])
    for width, count, there in ((50, 10, 4), (3, 10, 3), (50, 2, 2), (1, 1, 1)):
        (found,) = Decoder(TINY, DecodingConfig("beam", width)).decode(log_probs, lengths, count)
        assert len(found) == there


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("config", [DecodingConfig(), DecodingConfig("beam", 8)], ids=["greedy", "beam"])
def test_a_batch_gives_what_each_gives_alone(config, kind):
    log_probs = random_log_probs(np.random.default_rng(1), 5, 30, 28, sharpness=2)
    lengths = np.array([30, 1, 17, 0, 29])
    decoder = Decoder(ALPHABET, config, hot_words=["ab"] if config.decoder == "beam" else ())
    together = decoder.decode(kind(log_probs), lengths, count=3)
    assert decoder.texts(kind(log_probs), lengths) == [text_of(one[0]) for one in together]
    for row, length, among in zip(log_probs, lengths, together, strict=True):
        (alone,) = decoder.decode(kind(row[None, :length].copy()), np.array([length]), count=3)
        assert_same(alone, among, exact=kind is np.asarray)


@pytest.mark.parametrize("config", [DecodingConfig(temperature=1.5), DecodingConfig("beam", 8)])
def test_tensors_give_what_arrays_give(config):
    log_probs = random_log_probs(np.random.default_rng(2), 3, 25, 28, sharpness=2).astype(np.float32)
    lengths = np.array([25, 3, 12])
    decoder = Decoder(ALPHABET, config, [estimate(["the cat sat"], 2)])
    tensors = torch.from_numpy(log_probs)
    assert decoder.texts(tensors, lengths) == decoder.texts(log_probs, lengths)
    both = (decoder.decode(kind, lengths, count=4) for kind in (log_probs, tensors))
    for one, other in zip(*both, strict=True):
        assert_same(one, other, exact=False)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_long_signals_searched_in_pieces_give_what_the_whole_gives(kind, monkeypatch):
    log_probs = kind(random_log_probs(np.random.default_rng(3), 3, 40, 28, sharpness=2))
    lengths = np.array([40, 11, 3])
    given = {"models": [estimate(["the cat sat on a mat"], 3)], "hot_words": ["cat"]}
    decoder = Decoder(ALPHABET, DecodingConfig("beam", 8), **given)
    whole = decoder.decode(log_probs, lengths, count=3)
    for piece in (1, 3, 39, 40):
        monkeypatch.setattr("common.decoding.decoder.STEPS_PER_PIECE", piece)
        monkeypatch.setattr("common.decoding.decoder.STEPS_ON_DEVICE", piece)
        for one, other in zip(decoder.decode(log_probs, lengths, count=3), whole, strict=True):
            assert_same(one, other, exact=kind is np.asarray)
        assert decoder.texts(log_probs, lengths) == [text_of(one[0]) for one in whole]


# --- confidences


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["greedy", "beam"]), st.floats(0.2, 5), st.booleans())
def test_confidences_are_from_0_to_1_and_texts_the_same_if_much_is_impossible(
    seed, decoder, temperature, hard
):
    rng = np.random.default_rng(seed)
    log_probs = random_log_probs(rng, 2, 9, 4, sharpness=3)
    log_probs[rng.random(log_probs.shape) < 0.4] = -np.inf
    config = DecodingConfig(decoder, int(rng.integers(1, 9)), temperature=temperature)
    tried = Decoder(TINY, config, words=["ab", "b"] if hard else None)
    lengths = np.array([9, 4])
    found = tried.decode(log_probs, lengths, count=3)
    assert tried.texts(log_probs, lengths) == [text_of(one[0], TINY) for one in found]
    for hypotheses in found:
        scores = [one.score for one in hypotheses]
        assert scores == sorted(scores, reverse=True)
        for hit in itertools.chain.from_iterable(one.hits for one in hypotheses):
            assert 0 <= hit.confidence <= 1
            assert 0 <= hit.start <= hit.peak < hit.end <= 9


def test_confidence_in_the_beam_is_the_mean_of_peak_probability_and_agreement():
    """In one step, "a" has 0.5, "b" 0.3, the blank 0.2; a hot word changes only the agreement."""
    lengths = np.array([1])
    log_probs = np.log([[[0.2, 1e-30, 0.5, 0.3]]])
    ((a, b, nothing),) = Decoder(TINY, BEAM).decode(log_probs, lengths, count=3)
    assert [text_of(one, TINY) for one in (a, b, nothing)] == ["a", "b", ""]
    assert (a.hits[0].confidence, b.hits[0].confidence) == (pytest.approx(0.5), pytest.approx(0.3))

    config = DecodingConfig("beam", hot_word_boost=math.log(2))
    ((b, a),) = Decoder(TINY, config, hot_words=["b"]).decode(log_probs, lengths, count=2)
    assert text_of(b, TINY) == "b"  # 0.6 of 1.3
    assert b.hits[0].confidence == pytest.approx((0.3 + 0.6 / 1.3) / 2)
    assert a.hits[0].confidence == pytest.approx((0.5 + 0.5 / 1.3) / 2)

    ((a, _),) = Decoder(TINY, DecodingConfig("beam", temperature=2)).decode(log_probs, lengths, count=2)
    roots = np.sqrt([0.2, 0.5, 0.3])
    assert a.hits[0].confidence == pytest.approx(roots[1] / roots.sum())


@pytest.mark.parametrize(("apart", "agreeing"), [(1, 0.8), (2, 0.8), (3, 0.6), (4, 0.6)])
def test_a_label_agrees_with_the_same_one_up_to_two_steps_away(apart, agreeing):
    """The first label is "a" (0.6) or "b"; some steps later there is an "a" (0.5) or nothing.

    The "a" of "ba" agrees if it is near. The probabilities are 0.3 for "a", 0.3 for "aa", 0.2 for "b" and 0.2
    for "ba"; if the steps are neighbours, "aa" is "a", too.
    """
    rows = np.full((1, 6, 4), -np.inf)
    rows[0, :, 0] = 0.0
    rows[0, 1, [0, 2, 3]] = -np.inf, np.log(0.6), np.log(0.4)
    rows[0, 1 + apart, [0, 2]] = np.log(0.5)
    (found,) = Decoder(TINY, BEAM).decode(rows, np.array([6]), count=20)
    (a,) = [one for one in found if text_of(one, TINY) == "a"]
    assert a.hits[0].confidence == pytest.approx((0.6 + agreeing) / 2)


@pytest.mark.slow
def test_confidences_of_a_long_text_take_little_memory():
    """An hour has tens of thousands of labels, too many to compare all pairs."""
    steps, rest = 1000, 1e-9
    log_probs = np.log([[[rest, rest, 1 - 3 * rest, rest], [rest, rest, rest, 1 - 3 * rest]]])
    log_probs = log_probs.repeat(steps // 2, 0)
    log_probs = log_probs.reshape(1, steps, 4)
    decoder = Decoder(TINY, DecodingConfig("beam", 3))
    tracemalloc.start()
    ((found,),) = decoder.decode(log_probs, np.array([steps]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.hits) == steps
    assert peak < 20e6  # bytes; a comparison of all pairs of labels takes five times as much


# --- language models, lexicon, hot words

CAT_OR_CAB = heard("c", "-", "a", "-", {"t": 0.4, "b": 0.5})


def test_a_model_over_characters_decides_between_letters_that_sound_alike():
    assert best_text(CAT_OR_CAB) == "cab"
    config = DecodingConfig("beam", lm_weight=0.5, label_bonus=0.0)
    assert best_text(CAT_OR_CAB, config, models=[estimate(["cat"] * 9 + ["cab"], 3)]) == "cat"
    assert best_text(CAT_OR_CAB, config, models=[estimate(["cat"] + ["cab"] * 9, 3)]) == "cab"


def test_a_model_over_words_decides_between_words():
    models = [estimate(["a cat ran", "a dog ran", "a cat ran", "the sat"], 3, "word")]
    log_probs = heard("a", " ", *"cat", " ", {"r": 0.4, "s": 0.5}, "-", {"a": 0.9}, "-", {"n": 0.5, "t": 0.4})
    assert best_text(log_probs) == "a cat san"
    assert best_text(log_probs, models=models) == "a cat ran"


def test_the_words_of_a_model_are_the_lexicon_unless_one_is_given():
    models = [estimate(["the cat sat"], 2, "word")]
    assert best_text(CAT_OR_CAB, models=models) == "cat"
    assert best_text(CAT_OR_CAB, models=models, words=["cab", "sat"]) == "cab"


def test_a_hard_lexicon_allows_only_its_words_and_a_soft_one_others_with_a_penalty():
    log_probs = heard(*"zebr", {"a": 0.6, "o": 0.35})
    assert best_text(log_probs, words=["zebro", "cat"]) == "zebro"
    for penalty, text in ((0.1, "zebra"), (5.0, "zebro")):
        config = DecodingConfig("beam", unknown_word_penalty=penalty)
        assert best_text(log_probs, config, words=["zebro", "cat"]) == text
    config = DecodingConfig("beam", unknown_word_penalty=1.0)
    assert best_text(heard(*"quiz"), config, words=["cat"]) == "quiz"


def test_a_word_bonus_decides_how_many_words_are_written():
    log_probs = heard(*"to", {" ": 0.3, "-": 0.6}, *"day")
    words = ["to", "day", "today"]
    assert best_text(log_probs, DecodingConfig("beam", word_bonus=0.0), words=words) == "today"
    assert best_text(log_probs, DecodingConfig("beam", word_bonus=2.0), words=words) == "to day"


def test_hot_words_win_where_they_are_likely_enough_and_phrases_may_have_spaces():
    assert best_text(CAT_OR_CAB, hot_words=["cat"]) == "cat"
    weak = DecodingConfig("beam", hot_word_boost=0.01)
    assert best_text(CAT_OR_CAB, weak, hot_words=["cat"]) == "cab"
    log_probs = heard(*"new", " ", *"yor", {"e": 0.5, "k": 0.4})
    assert best_text(log_probs) == "new yore"
    assert best_text(log_probs, hot_words=["new york"]) == "new york"
    assert best_text(heard(*"dog"), hot_words=["cat"]) == "dog"


def test_a_long_text_is_not_shortened_by_a_model_with_a_bonus_for_its_letters():
    text = "the cat sat on the mat"
    steps = [symbol for letter in text for symbol in (letter, "-")]
    assert best_text(heard(*steps), models=[estimate(["the dog ran", text], 4)]) == text


def log_mass(tokens: list[str], model) -> float:
    return float(model.log_probs(tokens).astype(np.float64).sum())


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.6, 1.5]), st.sampled_from([0.0, 0.8]))
def test_with_a_model_over_characters_no_text_scores_higher(seed, weight, bonus):
    """A score is the network's log-probability + weight x the model's, with the end + bonus x letters."""
    log_probs = random_log_probs(np.random.default_rng(seed), 1, 4, 4)
    model = estimate(["ab ba", "aab", "b a"], 3)
    config = DecodingConfig("beam", 1000, lm_weight=weight, label_bonus=bonus)
    scores = {
        labels: score + weight * log_mass(list(TINY.decode(labels)), model) + bonus * len(labels)
        for labels, score in by_all_paths(log_probs[0]).items()
    }
    ((found,),) = Decoder(TINY, config, [model]).decode(log_probs, np.array([4]))
    assert found.score == pytest.approx(max(scores.values()), abs=1e-4)
    assert found.score == pytest.approx(scores[tuple(hit.label for hit in found.hits)], abs=1e-4)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([None, 1.5]))
def test_with_models_over_words_and_characters_no_text_scores_higher(seed, both, penalty):
    """All texts with single spaces are scored; words outside the lexicon are impossible or have a penalty."""
    log_probs = random_log_probs(np.random.default_rng(seed), 1, 5, 4)
    words, letters = estimate(["ab b", "a ab ab", "b"], 2, "word"), estimate(["ab ba", "b"], 2)
    known = {"a", "ab", "ba"}  # a lexicon that is not the model's
    config = DecodingConfig(
        "beam", 1000, lm_weight=0.7, label_bonus=0.3, word_lm_weight=0.4, word_bonus=0.9,
        unknown_word_penalty=penalty,
    )  # fmt: skip
    scores = {}
    for labels, network in by_all_paths(log_probs[0]).items():
        text = TINY.decode(labels)
        spoken = text.split()
        if "  " in text or text.startswith(" ") or (penalty is None and set(spoken) - known):
            continue
        tokens = [word if word in known else "<unk>" for word in spoken]
        score = network + (0.4 if both else 0.7) * log_mass(tokens, words) + 0.9 * len(spoken)
        score -= sum(penalty for word in spoken if word not in known)
        if both:
            score += 0.7 * log_mass(list(text), letters) + 0.3 * len(text)
        scores[labels] = score
    models = [words, letters] if both else [words]
    ((found,),) = Decoder(TINY, config, models, sorted(known)).decode(log_probs, np.array([5]))
    assert found.score == pytest.approx(max(scores.values()), abs=1e-4)
    assert found.score == pytest.approx(scores[tuple(hit.label for hit in found.hits)], abs=1e-4)


def test_greedy_decoding_keeps_models_and_does_not_use_them():
    model = estimate(["cat"], 3)
    decoder = Decoder(ALPHABET, DecodingConfig(), [model], ["cat"], ["cat"])
    assert decoder.texts(CAT_OR_CAB, np.array([5])) == ["cab"]
    assert (decoder.models, decoder.words, decoder.hot_words) == ((model,), ["cat"], ("cat",))


# --- little or nothing

EVERY_KIND = pytest.mark.parametrize(
    "decoder",
    [
        Decoder(TINY),
        Decoder(TINY, DecodingConfig(temperature=2.0)),
        Decoder(TINY, BEAM),
        Decoder(TINY, BEAM, [estimate(["ab b"], 2), estimate(["ab b"], 2, "word")], hot_words=["b"]),
    ],
    ids=["greedy", "tempered", "beam", "fused"],
)
EITHER = pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])


@EVERY_KIND
@EITHER
def test_an_empty_batch_has_no_texts(decoder, kind):
    log_probs, lengths = kind(np.zeros((0, 5, 4), np.float32)), np.zeros(0, np.int64)
    assert decoder.decode(log_probs, lengths) == []
    assert decoder.texts(log_probs, lengths) == []


@EVERY_KIND
@EITHER
def test_a_signal_without_steps_has_an_empty_text(decoder, kind):
    for steps in (0, 3):
        log_probs = kind(random_log_probs(np.random.default_rng(0), 2, steps, 4))
        lengths = np.array([0, 0])
        assert decoder.texts(log_probs, lengths) == ["", ""]
        assert [one[0].hits for one in decoder.decode(log_probs, lengths)] == [[], []]


@EITHER
def test_if_no_text_is_possible_the_result_is_empty(kind):
    nothing = np.full((1, 3, 4), -np.inf)
    only_b = nothing.copy()
    only_b[:, :, 3] = 0.0
    for log_probs in (nothing, only_b):
        for width in (1, 2, 50):
            decoder = Decoder(TINY, DecodingConfig("beam", width), words=["aa"])
            assert decoder.decode(kind(log_probs), np.array([3])) == [[Hypothesis([], -math.inf)]]
            assert decoder.texts(kind(log_probs), np.array([3])) == [""]


# --- what is wrong


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"decoder": "viterbi"}, "decoder is 'viterbi'; choose greedy or beam"),
        ({"beam_width": 0}, "beam_width is 0; give 1 or more"),
        ({"temperature": 0.0}, "temperature is 0; give a number above 0"),
        ({"temperature": -1.0}, "temperature is -1; give"),
        ({"temperature": math.nan}, "temperature is nan; give a finite number"),
        ({"lm_weight": math.nan}, "lm_weight is nan; give a finite number"),
        ({"label_bonus": math.inf}, "label_bonus is inf; give"),
        ({"unknown_word_penalty": -math.inf}, "unknown_word_penalty is -inf; give"),
    ],
)
def test_settings_out_of_range_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        DecodingConfig(**settings)


@pytest.mark.parametrize(
    ("alphabet", "given", "sentence"),
    [
        (TINY, {"models": [estimate(["ab"], 2)] * 2}, "two language models over the same unit; give one"),
        (TINY, {"models": [estimate(["ab"], 1, "word")] * 2}, "two language models over the same unit"),
        (TINY, {"models": [estimate(["xy"], 2)]}, r"knows none of the letters .* \(lm train --like MODEL\)"),
        (TINY, {"models": [estimate(["AB BA"], 2)]}, "knows none of the letters"),
        (Alphabet(("1", "2", " ")), {"models": [estimate(["a b"], 2)]}, "knows none of the letters"),
        (TINY, {"models": [estimate(["AB"], 2, "word")]}, "over words: the alphabet can spell none of its 1"),
        (TINY, {"words": ["xy", "é"]}, "lexicon: the alphabet can spell none of its 2 words, such as 'xy'"),
        (TINY, {"words": []}, "none of its 0 words"),
        (TINY, {"words": ["ab", "a b"]}, "lexicon: 'a b' is more than one word"),
        (TINY, {"hot_words": ["xy"]}, "hot words: the alphabet can spell none of its 1 words, such as 'xy'"),
        (Alphabet(("a", "b")), {"words": ["ab"]}, "a lexicon needs a space in the alphabet"),
        (Alphabet(("a", "b")), {"hot_words": ["ab"]}, "hot words need a space in the alphabet"),
    ],
)
def test_arguments_that_do_not_fit_each_other_are_refused(alphabet, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        Decoder(alphabet, BEAM, **given)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_with_their_place(value):
    log_probs = random_log_probs(np.random.default_rng(0), 2, 5, 4)
    log_probs[1, 3, 2] = value
    searches = Decoder(TINY, BEAM), Decoder(TINY)
    for call in (search for decoder in searches for search in (decoder.decode, decoder.texts)):
        with pytest.raises(ValueError, match="utterance 1, step 3: a log-probability is NaN or"):
            call(log_probs, np.array([5, 5]))
        call(log_probs, np.array([5, 3]))  # after the end it is ignored


def test_symbols_that_a_model_lacks_are_named(caplog):
    with caplog.at_level(logging.WARNING):
        Decoder(Alphabet(tuple(" abéx")), BEAM, [estimate(["ab ba"], 2)])
    assert [record.getMessage() for record in caplog.records] == [
        "the language model lacks 2 of the alphabet's 5 characters, which it takes for unknown: é x"
    ]


def test_words_that_cannot_be_spelled_are_named(caplog):
    with caplog.at_level(logging.WARNING):
        Decoder(TINY, BEAM, words=["ab", "né", "abc"], hot_words=["b a", "x"])
    assert [record.getMessage() for record in caplog.records] == [
        "lexicon: 2 of 3 cannot be spelled in this alphabet, such as 'né', 'abc'",
        "hot words: 1 of 2 cannot be spelled in this alphabet, such as 'x'",
    ]


@pytest.mark.parametrize("kind", ["lexicon", "language model"])
def test_hot_words_need_not_be_in_the_lexicon(kind):
    given = {"words": ["a", "new"]} if kind == "lexicon" else {"models": [estimate(["a new"], 2, "word")]}
    log_probs, lengths = heard(*"a new york"), np.array([10])
    assert best_text(log_probs, **given) != "a new york"
    assert best_text(log_probs, **given, hot_words=["new york"]) == "a new york"
    config = DecodingConfig("beam", unknown_word_penalty=50.0)
    words = [*given.get("words", ["a", "new"]), "york"]
    with_hot, with_all = (
        Decoder(ALPHABET, config, given.get("models", ()), words, hot).decode(log_probs, lengths)[0][0]
        for words, hot in ((given.get("words"), [HotWord("york", 0.0)]), (words, ()))
    )
    assert text_of(with_hot) == text_of(with_all) == "a new york"
    assert with_hot.score == pytest.approx(with_all.score)  # they pay no penalty


def test_boosts_that_write_hot_words_over_others_are_named(caplog):
    with caplog.at_level(logging.WARNING):
        Decoder(TINY, DecodingConfig("beam", hot_word_boost=4.0), hot_words=["a", HotWord("ab", 4.0)])
        assert not caplog.records
        Decoder(TINY, BEAM, hot_words=["a", HotWord("ab", 20.0)])
    assert [record.getMessage() for record in caplog.records] == [
        "hot words: a boost of 20 for each letter writes 'ab' over others; give 4 or less"
    ]


def test_hot_words_may_have_their_own_boost():
    assert best_text(CAT_OR_CAB, hot_words=[HotWord("cat", 5.0), HotWord("cab", 0.1)]) == "cat"
    assert best_text(CAT_OR_CAB, hot_words=[HotWord("cat", 0.0), "cab"]) == "cab"


def test_words_in_another_case_are_taken_in_that_of_the_alphabet(caplog):
    capitals = Alphabet(tuple(" ABÉ"))
    with caplog.at_level(logging.WARNING):
        decoder = Decoder(capitals, BEAM, words=["ab", "AB", "éa"], hot_words=["Éa", "ax"])
    log_probs = heard(*"ÉA AB", alphabet=capitals)
    assert decoder.texts(log_probs, np.array([5])) == ["ÉA AB"]
    assert [record.getMessage() for record in caplog.records] == [
        "hot words: 2 of 2 are taken in the case of the alphabet, such as 'Éa' as 'ÉA'",
        "lexicon: 2 of 3 are taken in the case of the alphabet, such as 'ab' as 'AB'",
        "hot words: 1 of 2 cannot be spelled in this alphabet, such as 'Ax'",
    ]


def test_without_problems_nothing_is_logged(caplog):
    with caplog.at_level(logging.DEBUG):
        Decoder(TINY, BEAM, [estimate(["ab ba"], 2), estimate(["a"], 2, "word")], ["ab"], ["a"])
    assert not caplog.records


@pytest.mark.parametrize(("form", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_language_model_over_words_in_another_unicode_form_is_brought_to_that_of_the_alphabet(form, other):
    texts = ["caf\u00e9 clos", "caf\u00e9 clair", "caf\u00e9"]
    alphabet = Alphabet.from_texts(texts, form)
    rng = np.random.default_rng(0)
    log_probs = np.log(rng.dirichlet(np.full(alphabet.classes, 0.3), (2, 24)))
    config = DecodingConfig("beam", beam_width=8)

    def found(spelling: str) -> list[list[tuple[list[int], float]]]:
        model = estimate([unicodedata.normalize(spelling, text) for text in texts], 2, "word")
        decoded = Decoder(alphabet, config, [model]).decode(log_probs, np.array([24, 20]), 3)
        return [[([hit.label for hit in one.hits], one.score) for one in of_one] for of_one in decoded]

    same, brought = found(form), found(other)
    assert [[labels for labels, _ in of_one] for of_one in brought] == [[la for la, _ in one] for one in same]
    for ours, theirs in zip(brought, same, strict=True):
        np.testing.assert_allclose([score for _, score in ours], [score for _, score in theirs], rtol=1e-5)
