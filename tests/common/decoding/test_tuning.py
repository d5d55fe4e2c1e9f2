import itertools
import logging
from dataclasses import replace

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from common.data.manifest import Example
from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.tuning import (
    KEPT_CLASSES,
    RANGES,
    ReferenceBatch,
    calibrate,
    kept_classes,
    measure,
    tune,
)
from common.language.kneser_ney import estimate
from common.text.symbols import Alphabet

ALPHABET = Alphabet(tuple(" abcdt"))
BEAM = DecodingConfig("beam", beam_width=8)
NAMES = ["lm_weight", "label_bonus"]
MODEL = estimate(["cat bat tab", "a cat", "a bat", "bad cat"], 3)


def spoken(texts: list[str], rng: np.random.Generator, certainty: float, noise: float) -> ReferenceBatch:
    """Return noisy log-probabilities of `texts`, with two steps per letter; the second one is a blank."""
    steps = 2 * max(map(len, texts))
    path = np.zeros((len(texts), steps), np.int64)
    for row, text in zip(path, texts, strict=True):
        row[: 2 * len(text) : 2] = ALPHABET.encode(text)
    scores = certainty * np.eye(ALPHABET.classes)[path] + noise * rng.standard_normal((*path.shape, 7))
    log_probs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    signals = [kept_classes(row[: 2 * len(text)]) for row, text in zip(log_probs, texts, strict=True)]
    return ReferenceBatch(signals, [Example(f"{n}.png", text) for n, text in enumerate(texts)])


@pytest.fixture(scope="module")
def batches() -> list[ReferenceBatch]:
    rng = np.random.default_rng(0)
    return [spoken(texts, rng, 4.0, 1.6) for texts in (["a cat", "bad cat", "tab"], ["cat bat", "a bat"])]


def with_model(config: DecodingConfig) -> Decoder:
    return Decoder(ALPHABET, config, [MODEL])


def settings_of(trials) -> list[tuple[float, ...]]:
    return [tuple(getattr(trial.config, name) for name in NAMES) for trial in trials]


# --- measuring


def test_the_error_rate_is_the_edits_of_all_texts_over_their_lengths(batches):
    decoder = with_model(BEAM)
    pairs = []
    for batch in batches:
        texts = decoder.texts(*batch.padded())
        pairs += [(example.text, text) for example, text in zip(batch.examples, texts, strict=True)]
    rate = measure(decoder, batches)
    pairs = [(one, " ".join(other.split())) for one, other in pairs]
    errors = sum(Levenshtein.distance(*pair) for pair in pairs)
    assert errors > 0
    assert rate.cer == errors / len("a catbad cattabcat bata bat")
    assert rate.wer == sum(Levenshtein.distance(one.split(), other.split()) for one, other in pairs) / 9
    assert [item.source for item in rate.items] == ["0.png", "1.png", "2.png", "0.png", "1.png"]


# --- tuning


@pytest.mark.parametrize("metric", ["cer", "wer"])
def test_the_settings_as_they_are_come_first_and_the_best_is_never_worse(batches, metric):
    tried = list(tune(with_model, BEAM, NAMES, batches, 12, metric))
    assert len(tried) == 12
    assert tried[0].config == BEAM
    assert (tried[0].cer, tried[0].wer) == (
        measure(with_model(BEAM), batches).cer,
        measure(with_model(BEAM), batches).wer,
    )
    assert len(set(settings_of(tried))) == 12
    best = min(tried, key=lambda trial: getattr(trial, metric))
    again = measure(with_model(best.config), batches)
    assert (best.cer, best.wer) == (again.cer, again.wer)
    assert getattr(best, metric) <= getattr(tried[0], metric)


def test_settings_that_help_are_found(batches):
    start = replace(BEAM, lm_weight=1.5, label_bonus=0.0)  # these settings shorten the texts
    tried = list(tune(with_model, start, NAMES, batches, 15))
    assert min(trial.cer for trial in tried) < tried[0].cer


def test_the_same_seed_draws_the_same_and_another_seed_others(batches):
    one, same, other = (
        settings_of(tune(with_model, BEAM, NAMES, batches, 6, seed=seed)) for seed in (1, 1, 2)
    )
    assert one == same
    assert one[0] == other[0]
    assert not set(one[1:]) & set(other[1:])


def test_draws_are_within_the_ranges_and_touch_no_other_setting(batches):
    words = estimate(["a cat", "tab bad bat"], 2, "word")

    def build(config: DecodingConfig) -> Decoder:
        return Decoder(ALPHABET, config, [MODEL, words], hot_words=["cat"])

    start = replace(BEAM, beam_width=2, unknown_word_penalty=3.0)
    seen: dict[str, set[float]] = {name: set() for name in RANGES}
    for trial in tune(build, start, list(RANGES), batches[:1], 40):
        for name, (low, high) in RANGES.items():
            value = getattr(trial.config, name)
            if trial.config != start:
                assert low <= value <= high
                seen[name].add(value)
        kept = {name: getattr(start, name) for name in RANGES}
        assert replace(trial.config, **kept) == start
    for name, (low, high) in RANGES.items():
        assert max(seen[name]) - min(seen[name]) > 0.5 * (high - low)


def test_later_draws_are_near_the_best(batches):
    """Most draws are near the start if the start is the only good setting."""
    start = replace(BEAM, lm_weight=0.75)

    class Fixed:
        alphabet = ALPHABET

        def __init__(self, config: DecodingConfig) -> None:
            self.good = config == start

        def texts(self, log_probs: np.ndarray, lengths: np.ndarray) -> list[str]:
            return ["a cat" if self.good else ""] * len(lengths)

    batch = [ReferenceBatch([kept_classes(np.zeros((1, 7)))], [Example("a.png", "a cat")])]
    tried = list(tune(Fixed, start, ["lm_weight"], batch, 400))
    assert [trial.cer for trial in tried[:2]] == [0.0, 1.0]
    near = [abs(trial.config.lm_weight - 0.75) < 0.225 for trial in tried[1:]]  # a standard deviation
    assert np.mean(near) == pytest.approx(0.6 * 0.683 + 0.4 * 0.3, abs=0.08)


def test_with_nothing_to_search_there_is_one_trial(batches):
    (only,) = tune(lambda config: Decoder(ALPHABET, config), BEAM, [], batches, 9)
    assert only.config == BEAM


@pytest.mark.parametrize("trials", [0, -3])
def test_fewer_than_one_trial_is_refused(batches, trials):
    with pytest.raises(ValueError, match=f"{trials} trials; give 1 or more"):
        list(tune(with_model, BEAM, NAMES, batches, trials))


# --- calibration


def claimed(certainty: float, truth: float, count: int = 100) -> ReferenceBatch:
    """Return signals of one letter each, of which the network recognises a share of `truth`.

    It gives the probability `certainty` to its likeliest letter each time.
    """
    row = np.full((count, 1, 7), 1e-12)
    row[:, 0, 2], row[:, 0, 3] = certainty, 1 - certainty
    texts = ["a" if place < round(truth * count) else "b" for place in range(count)]
    return ReferenceBatch([kept_classes(one) for one in np.log(row)], [Example("x", text) for text in texts])


@pytest.mark.slow
@pytest.mark.parametrize("decoder", [Decoder(ALPHABET), Decoder(ALPHABET, BEAM)], ids=["greedy", "beam"])
def test_confidences_that_are_too_high_are_lowered_and_too_low_ones_raised(decoder):
    hot, judged, own = calibrate(decoder, [claimed(0.95, 0.7)])
    assert hot > 1
    assert judged.confidences[0] == pytest.approx(0.7, abs=0.05)
    assert own.confidences[0] == pytest.approx(0.95, abs=1e-6)
    assert judged.log_loss < own.log_loss
    assert judged.calibration_error < 0.05 < own.calibration_error
    cold, judged, own = calibrate(decoder, [claimed(0.7, 0.95)])
    assert cold < 1
    assert judged.log_loss < own.log_loss
    just, *_ = calibrate(decoder, [claimed(0.8, 0.8), claimed(0.6, 0.6)])
    assert 0.8 <= just <= 1.2


def test_each_character_of_each_text_is_judged(batches):
    decoder = with_model(replace(BEAM, temperature=1.5))
    temperature, judged, own = calibrate(decoder, batches)
    texts = list(itertools.chain.from_iterable(decoder.texts(*one.padded()) for one in batches))
    assert len(judged.confidences) == len(own.confidences) == sum(map(len, texts))
    for at, found in ((1.5, own), (temperature, judged)):
        told = with_model(replace(BEAM, temperature=at))
        hits = [hit for one in batches for (best,) in told.decode(*one.padded()) for hit in best.hits]
        assert found.confidences == pytest.approx([hit.confidence for hit in hits])
    assert (judged.right == own.right).all()


@pytest.mark.parametrize("own", [0.75, 1.0, 2.0])
def test_if_nothing_was_recognised_the_temperature_stays(own):
    silent = ReferenceBatch([kept_classes(np.log([[0.94, *[0.01] * 6]]))], [Example("x", "a")])
    found, *_ = calibrate(Decoder(ALPHABET, DecodingConfig(temperature=own)), [silent])
    assert found == pytest.approx(own, rel=0.1)


def test_tuning_prints_nothing_by_itself(batches, caplog, capsys):
    with caplog.at_level(logging.INFO):
        list(tune(with_model, BEAM, NAMES, batches, 2))
    assert not caplog.records
    assert capsys.readouterr() == ("", "")


# --- what is kept


def many_classes(count: int, steps: int = 60) -> np.ndarray:
    """Return log-probabilities (S, C) of a network that is fairly sure at each step."""
    rng = np.random.default_rng(3)
    scores = rng.normal(0, 1.5, (steps, count))
    scores[np.arange(steps), rng.integers(0, 40, steps)] += 12
    return (scores - np.log(np.exp(scores).sum(1, keepdims=True))).astype(np.float32)


def test_a_small_alphabet_is_kept_whole():
    log_probs = many_classes(KEPT_CLASSES)
    np.testing.assert_array_equal(kept_classes(log_probs).all(), log_probs)


def test_of_a_large_alphabet_the_likeliest_classes_are_kept_and_the_rest_is_shared():
    log_probs = many_classes(3000)
    found = kept_classes(log_probs)
    for row, full in zip(found.all(), log_probs, strict=True):
        order = np.argsort(-full)
        np.testing.assert_array_equal(row[order[:KEPT_CLASSES]], full[order[:KEPT_CLASSES]])
        assert len(set(row[order[KEPT_CLASSES:]])) == 1
        assert np.exp(row.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)


def test_a_step_takes_the_same_memory_for_7000_classes_as_for_700():
    sizes = []
    for count in (700, 7000):
        found = kept_classes(many_classes(count))
        sizes.append(sum(part.nbytes for part in found[:3]))
    assert sizes[0] == sizes[1] == 60 * (KEPT_CLASSES * 6 + 4)


def test_the_search_finds_the_same_text_in_the_kept_classes():
    alphabet = Alphabet(tuple(map(chr, range(0x4E00, 0x4E00 + 2999))))
    decoder = Decoder(alphabet, DecodingConfig("beam", beam_width=8))
    log_probs = many_classes(3000)
    ours = kept_classes(log_probs).all()
    assert decoder.texts(ours[None], np.array([60])) == decoder.texts(log_probs[None], np.array([60])) != [""]


def test_impossible_classes_stay_impossible():
    log_probs = np.full((1, 500), -np.inf)
    log_probs[0, 7] = 0
    assert np.isneginf(kept_classes(log_probs).all()).sum() == 499
