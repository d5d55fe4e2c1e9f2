"""Sound is made from known words at known steps; what is found is compared with these."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from common.decoding.gapped import search
from common.decoding.gapped.search import align_words
from common.decoding.gapped.viterbi import GapCosts, Words
from common.decoding.greedy import greedy
from common.text.symbols import BLANK

C, SPACE = 28, 1
COSTS = GapCosts()


class Sound(NamedTuple):
    """Log-probabilities (S, C), and the first step of each word."""

    log_probs: np.ndarray
    starts: list[int]


def made_up(rng: np.random.Generator, count: int) -> list[list[int]]:
    return [rng.integers(2, C, rng.integers(2, 9)).tolist() for _ in range(count)]


def say(rng: np.random.Generator, words: list[list[int]], misheard: float = 0.0) -> Sound:
    """Return words as they sound: labels of one step, blanks around them, some misheard and all less sure."""
    path, starts = [BLANK] * 5, list[int]()
    for word in words:
        starts.append(len(path))
        for label in [*word, SPACE]:
            heard = int(rng.integers(2, C)) if rng.random() < misheard else label
            path += [heard, *[BLANK] * int(rng.integers(1, 3))]
    scores = (6.0 if misheard else 10.0) * np.eye(C)[path] + rng.standard_normal((len(path), C))
    return Sound(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), starts)


def found_starts(log_probs: np.ndarray, words: list[list[int]]) -> list[int | None]:
    """Return the step at which each word was found to begin."""
    text = Words.of(words, SPACE)
    hits = align_words(log_probs, text, COSTS).labels
    return [hit.start if (hit := hits[place]) else None for place in text.starts.tolist()]


@pytest.mark.parametrize("misheard", [0.0, 0.1])
def test_a_text_that_is_said_as_it_stands_is_found_whole(misheard):
    rng = np.random.default_rng(0)
    words = made_up(rng, 800)
    sound = say(rng, words, misheard)
    found = found_starts(sound.log_probs, words)
    wrong = [number for number in range(800) if found[number] != sound.starts[number]]
    assert len(wrong) <= (0 if misheard == 0 else 80)  # a misheard first label may be placed a step away
    assert all(at is not None and abs(at - start) <= 6 for at, start in zip(found, sound.starts, strict=True))


def test_words_that_are_not_said_have_no_place_and_the_others_keep_theirs():
    rng = np.random.default_rng(1)
    words = made_up(rng, 800)
    unsaid = {*range(30), 100, *range(300, 303), *range(500, 640), *range(795, 800)}
    said = [number for number in range(800) if number not in unsaid]
    sound = say(rng, [words[number] for number in said])
    expected: list[int | None] = [None] * 800
    for number, start in zip(said, sound.starts, strict=True):
        expected[number] = start
    assert found_starts(sound.log_probs, words) == expected


def test_sound_that_is_not_in_the_text_is_reported_from_its_first_label_to_its_last():
    rng = np.random.default_rng(2)
    words = made_up(rng, 800)
    extra = [range(10), range(200, 206), range(400, 560), range(790, 800)]
    sound = say(rng, words)
    in_text = [number for number in range(800) if not any(number in one for one in extra)]
    text = Words.of([words[number] for number in in_text], SPACE)
    found = align_words(sound.log_probs, text, COSTS)
    assert [hit.start for place in text.starts if (hit := found.labels[place])] == [
        sound.starts[number] for number in in_text
    ]
    assert len(found.unwritten) == len(extra)
    for one, numbers in zip(found.unwritten, extra, strict=True):
        rows = sound.log_probs[one.start : one.end]
        spelt = [label for number in numbers for label in [*words[number], SPACE]][:-1]
        assert [hit.label for hit in greedy(rows)] == spelt
        assert one.before == sum(number < numbers[0] for number in in_text) - 1
        assert one.after == one.before + 1


def test_a_paragraph_in_place_of_another_is_missing_and_too_much():
    rng = np.random.default_rng(3)
    words, other = made_up(rng, 600), made_up(rng, 120)
    sound = say(rng, [*words[:200], *other, *words[300:]], misheard=0.05)
    text = Words.of(words, SPACE)
    found = align_words(sound.log_probs, text, COSTS)
    placed = [found.labels[place] is not None for place in text.starts]
    assert placed == [not 200 <= number < 300 for number in range(600)]
    assert len(found.unwritten) == 1
    assert abs(found.unwritten[0].start - sound.starts[200]) <= 3
    assert abs(found.unwritten[0].end - sound.starts[320]) <= 6


def test_all_labels_of_a_word_have_hits_or_none_has():
    rng = np.random.default_rng(4)
    words = made_up(rng, 300)
    sound = say(rng, words[:100] + words[130:], misheard=0.3)
    text = Words.of(words, SPACE)
    hits = align_words(sound.log_probs, text, COSTS).labels
    for start, end in zip(text.starts, text.ends, strict=True):
        assert len({hit is None for hit in hits[start:end]}) == 1
    steps = [(hit.start, hit.end) for hit in hits if hit]
    assert all(a[1] <= b[0] for a, b in pairwise(steps))


def test_a_large_part_without_anything_in_common_is_searched_near_its_ends(monkeypatch):
    rng = np.random.default_rng(5)
    words, other = made_up(rng, 900), made_up(rng, 500)
    sound = say(rng, [*words[:200], *other, *words[700:]])
    text = Words.of(words, SPACE)
    for name, value in [("MOST_CELLS", 10**6), ("END_LABELS", 600), ("END_STEPS", 1800)]:
        monkeypatch.setattr(search, name, value)
    found = align_words(sound.log_probs, text, COSTS)
    placed = [found.labels[place] is not None for place in text.starts]
    assert placed == [not 200 <= number < 700 for number in range(900)]
    assert len(found.unwritten) == 1


@pytest.mark.parametrize("count", [40, 2000])
def test_of_a_text_without_anything_in_common_one_sentence_says_so(count, monkeypatch):
    monkeypatch.setattr(search, "MOST_CELLS", 10**6)
    rng = np.random.default_rng(6)
    sound, words = say(rng, made_up(rng, count)), made_up(rng, count)
    with pytest.raises(ValueError, match=f"of the {count:,} words of the text nothing can be found"):
        align_words(sound.log_probs, Words.of(words, SPACE), COSTS)


def test_an_empty_text_leaves_all_sound():
    rng = np.random.default_rng(7)
    sound = say(rng, made_up(rng, 5))
    found = align_words(sound.log_probs, Words.of([], SPACE), COSTS)
    assert found.labels == []
    assert (found.unwritten[0].before, found.unwritten[0].after) == (-1, 0)
    assert found.unwritten[0].start == sound.starts[0]


def test_numbers_that_are_none_are_refused():
    log_probs = np.full((20, 4), np.log(0.25))
    log_probs[7, 2] = np.nan
    with pytest.raises(ValueError, match="step 7: a log-probability is NaN"):
        align_words(log_probs, Words.of([[2]], SPACE), COSTS)
