"""Cuts are compared with the places from which the sound was made."""

import numpy as np
import pytest

from common.decoding.gapped.anchors import APART, find_cuts
from common.decoding.greedy import Hit


def heard(labels: list[int]) -> list[Hit]:
    """Return hits of one step each, with a blank after each."""
    return [Hit(label, 2 * place, 2 * place + 1, 0.9, 2 * place) for place, label in enumerate(labels)]


def text(rng: np.random.Generator, words: int) -> tuple[list[int], list[int]]:
    """Return the labels of random words with separators, and where words begin."""
    labels, starts = list[int](), list[int]()
    for _ in range(words):
        labels += [1] if labels else []
        starts.append(len(labels))
        labels += rng.integers(2, 28, rng.integers(2, 9)).tolist()
    return labels, starts


@pytest.mark.parametrize("seed", range(5))
def test_cuts_of_equal_sequences_are_at_borders_of_words_far_apart(seed):
    labels, starts = text(np.random.default_rng(seed), 1000)
    cuts = find_cuts(heard(labels), np.array(labels), np.array(starts))
    assert len(cuts) > len(labels) / APART / 2
    places = [cut.labels for cut in cuts]
    assert set(places) <= set(starts)
    assert min(np.diff(places)) >= APART
    assert [cut.step for cut in cuts] == [2 * place - 1 for place in places]


@pytest.mark.parametrize("seed", range(5))
def test_with_misheard_labels_and_changed_parts_every_cut_is_a_true_one(seed):
    rng = np.random.default_rng(seed)
    labels, starts = text(rng, 1500)
    origin = [place for place in range(len(labels)) if not 2000 <= place < 3000]  # 1000 labels are not said
    said = [(place, labels[place]) for place in origin]
    said[4000:4000] = [(-1, label) for label in rng.integers(1, 28, 800).tolist()]  # and 800 not in the text
    noisy = [(place, int(rng.integers(1, 28)) if rng.random() < 0.1 else label) for place, label in said]
    noisy = [one for one in noisy if rng.random() > 0.05]
    cuts = find_cuts(heard([label for _, label in noisy]), np.array(labels), np.array(starts))
    assert len(cuts) > 8
    for cut in cuts:
        before = [place for place, _ in noisy[: (cut.step + 1) // 2] if place >= 0]
        assert before[-1] == cut.labels - 1
        assert not 2000 <= cut.labels < 3000


def test_a_phrase_alone_that_is_said_elsewhere_is_no_place_to_cut():
    rng = np.random.default_rng(1)
    (labels, starts), (other, _) = text(rng, 300), text(rng, 300)
    middle = starts[150]
    other[700:730] = labels[middle : middle + 30]
    assert find_cuts(heard(other), np.array(labels), np.array(starts)) == []


def test_a_text_that_is_said_twice_is_cut_in_one_of_them():
    labels, starts = text(np.random.default_rng(2), 300)
    cuts = find_cuts(heard(labels + labels), np.array(labels), np.array(starts))
    assert cuts
    rounds = {cut.step // (2 * len(labels)) for cut in cuts}
    assert len(rounds) == 1
    assert all(cut.step % (2 * len(labels)) == 2 * cut.labels - 1 for cut in cuts)


def test_short_and_empty_sequences_have_no_cuts():
    labels, starts = text(np.random.default_rng(3), 2)
    assert find_cuts(heard(labels), np.array(labels), np.array(starts)) == []
    assert find_cuts([], np.array(labels), np.array(starts)) == []
    assert find_cuts(heard(labels), np.array([], int), np.array([], int)) == []
