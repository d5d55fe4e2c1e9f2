"""Paths are compared with those of `align`, with a search by definition, or with lists made by hand."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from common.decoding.alignment import align
from common.decoding.gapped.viterbi import REST, SOUND, Ends, GapCosts, Words, trace

SPACE = 1
COSTS = GapCosts(gap=4.0)
"""less than for speech: the words here are short"""
FREE, BOUND = Ends(True, True), Ends(False, False)


def random_log_probs(rng: np.random.Generator, S: int, C: int, sharpness: float = 1.0) -> np.ndarray:
    scores = sharpness * rng.standard_normal((S, C))
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def spoken(path: list[int], C: int = 8) -> np.ndarray:
    """Return log-probabilities (S, C) in which the class of `path` has 0.99 at each step."""
    return np.log(np.where(np.eye(C)[path] > 0, 0.99, 0.01 / (C - 1)))


@pytest.mark.parametrize("seed", range(10))
def test_where_gaps_are_dear_the_path_is_that_of_the_whole_text(seed):
    rng = np.random.default_rng(seed)
    words = Words.of([rng.integers(2, 9, rng.integers(1, 6)).tolist() for _ in range(12)], SPACE)
    log_probs = random_log_probs(rng, 200, 9, sharpness=3)
    expected, score = align(log_probs, words.labels)
    path = np.full(200, REST)
    for number, hit in enumerate(expected):
        path[hit.start : hit.end] = number
    found = trace(log_probs, words, GapCosts(1e6, 1e6, 1e6), BOUND)
    assert found.path.tolist() == path.tolist()
    assert found.score == pytest.approx(score)


def best_by_definition(  # noqa: C901
    log_probs: np.ndarray, words: list[list[int]], separator: int | None, costs: GapCosts, ends: Ends
) -> float:
    """Return the score of the likeliest path, tried in all ways of parting it into gaps and runs of words."""
    S, W = len(log_probs), len(words)
    likeliest = [0, *log_probs.argmax(1).tolist()]
    begins = [now not in (0, before) for before, now in pairwise(likeliest)]
    sound = log_probs.max(1) - costs.unwritten * np.array(begins)

    def runs(s: int, i: int, at_label: bool) -> list[tuple[float, int, int, bool]]:
        """Return score, end and next word of runs of words from step s on; True if they have a separator."""
        found = []
        for j in range(i + 1, W + 1):
            labels: list[int] = []
            for word in words[i:j]:
                labels += ([separator] if labels and separator else []) + word
            for tail in [[], [separator]] if separator and j < W else [[]]:
                for t in range(s + 1, S + 1):
                    rows = log_probs[s:t].copy()
                    if at_label:
                        rows[0, 0] = -np.inf
                    try:
                        found.append((align(rows, labels + tail).score, t, j, bool(tail)))
                    except ValueError:
                        continue
        return found

    @cache
    def gap(s: int, i: int) -> float:
        options = [-np.inf]
        if s == S and i == W:
            options.append(costs.gap if ends.end else 0.0)
        if s < S:
            options.append(sound[s] + gap(s + 1, i))
            options += [score + after(t, j, tail) for score, t, j, tail in runs(s, i, True)]
        if i < W:
            options.append(-costs.unsaid * len(words[i]) + gap(s, i + 1))
        return max(options)

    def after(t: int, j: int, tail: bool) -> float:
        whole = 0.0 if t == S and j == W and not tail else -np.inf
        return max(whole, gap(t, j) - costs.gap)

    blanks = [log_probs[:t, 0].sum() + gap(t, 0) - costs.gap for t in range(1, S + 1)]
    begun = [score + after(t, j, tail) for score, t, j, tail in runs(0, 0, False)]
    return max(gap(0, 0) - (0.0 if ends.start else costs.gap), *blanks, *begun)


@pytest.mark.parametrize("ends", [FREE, BOUND, Ends(True, False)])
@pytest.mark.parametrize("separator", [SPACE, None])
@pytest.mark.parametrize("seed", range(8))
def test_no_way_through_words_and_gaps_is_likelier(seed, separator, ends):
    rng = np.random.default_rng(seed)
    words = [rng.integers(2, 4, rng.integers(1, 3)).tolist() for _ in range(int(rng.integers(1, 4)))]
    log_probs = random_log_probs(rng, int(rng.integers(3, 7)), 4, sharpness=2)
    costs = GapCosts(*rng.uniform(0, 2, 3))
    found = trace(log_probs, Words.of(words, separator), costs, ends)
    assert found.score == pytest.approx(best_by_definition(log_probs, words, separator, costs, ends))


@pytest.mark.parametrize("block", [1, 2, 7, 50, 119, 120, 1000])
def test_blocks_of_any_length_give_the_same(block):
    rng = np.random.default_rng(block)
    words = Words.of([rng.integers(2, 9, rng.integers(1, 6)).tolist() for _ in range(12)], SPACE)
    log_probs = random_log_probs(rng, 120, 9, sharpness=3)
    costs = GapCosts(2, 0.5, 0.5)
    expected, found = trace(log_probs, words, costs, FREE), trace(log_probs, words, costs, FREE, block)
    assert (expected.path == SOUND).any()
    assert found.path.tolist() == expected.path.tolist()
    assert found.score == expected.score


def test_a_word_that_is_not_said_has_no_step():
    words = Words.of([[2, 3], [4, 5, 6, 4], [7, 2]], SPACE)
    path = trace(spoken([0, 2, 3, 0, 1, 0, 7, 2, 0]), words, COSTS, FREE).path
    assert {2, 3, 4, 5, 6}.isdisjoint(np.setdiff1d(path, [2]).tolist())  # 2 is the first separator
    assert path[[1, 2, 6, 7]].tolist() == [0, 1, 8, 9]


def test_sound_that_is_not_in_the_text_is_no_word():
    words = Words.of([[2, 3, 2], [7, 6, 7]], SPACE)
    said = [0, 2, 3, 2, 0, 1, 0, 5, 4, 5, 0, 5, 4, 5, 0, 1, 7, 6, 7, 0]
    path = trace(spoken(said), words, COSTS, FREE).path
    assert (path[7:14] == SOUND).all()
    assert path[[1, 2, 3]].tolist() == [0, 1, 2]
    assert path[[16, 17, 18]].tolist() == [4, 5, 6]


def test_a_word_of_which_a_letter_is_misheard_keeps_its_place():
    words = Words.of([[2, 3, 2], [4, 5, 4], [7, 6, 7]], SPACE)
    said = [0, 2, 3, 2, 1, 4, 3, 4, 1, 7, 6, 7, 0]
    path = trace(spoken(said), words, COSTS, FREE).path
    assert path.tolist() == [REST, *range(11), REST]


def test_where_a_word_without_labels_may_be_said_sound_costs_only_the_gap():
    said = [2, 3, 2, 1, 5, 4, 5, 4, 1, 7, 6, 7]
    costs = GapCosts(gap=1, unwritten=1e3)
    bare = trace(spoken(said), Words.of([[2, 3, 2], [7, 6, 7]], SPACE), costs, BOUND)
    with_number = trace(spoken(said), Words.of([[2, 3, 2], [], [7, 6, 7]], SPACE), costs, BOUND)
    assert (bare.path != SOUND).all()
    assert (with_number.path[4:8] == SOUND).all()
    assert with_number.score == pytest.approx(12 * np.log(0.99) - 1)


def test_no_words_and_no_steps_are_possible():
    nothing = Words.of([], SPACE)
    assert trace(spoken([0, 3, 0]), nothing, COSTS, FREE).path.tolist() == [SOUND] * 3
    assert trace(spoken([]), Words.of([[2]], SPACE), COSTS, FREE).path.tolist() == []


def test_a_part_of_the_words_keeps_the_separator_before_the_next_word():
    words = Words.of([[2, 3], [4], [], [5, 6]], SPACE)
    assert words.labels.tolist() == [2, 3, 1, 4, 1, 5, 6]
    assert words.unspelt.tolist() == [False, False, True, False]
    part = words.part(1, 2)
    assert (part.labels.tolist(), part.starts.tolist(), part.ends.tolist()) == ([4, 1], [0], [1])
    assert part.unspelt.tolist() == [False, True]
    assert words.part(1, 3).labels.tolist() == [4, 1, 5, 6]
