"""Results are compared with all paths by brute force, lists by hand, or torchaudio's forced alignment."""

import itertools
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchaudio.functional import forced_align

from common.decoding.alignment import align, widen
from common.decoding.greedy import Hit, greedy
from common.network.ctc import collapse, required_steps


def random_log_probs(rng: np.random.Generator, S: int, C: int, sharpness: float = 1.0) -> np.ndarray:
    scores = sharpness * rng.standard_normal((S, C))
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def path_of(hits: list[Hit], steps: int) -> np.ndarray:
    path = np.zeros(steps, dtype=np.int64)
    for hit in hits:
        path[hit.start : hit.end] = hit.label
    return path


def log_eye(path: list[int], C: int) -> np.ndarray:
    """Return log-probabilities (S, C) in which the class of `path` has 0.9 at each step."""
    return np.log(np.where(np.eye(C)[path] > 0, 0.9, 0.1 / (C - 1)))


# --- the likeliest path


def test_hits_have_the_steps_and_the_highest_probability_of_their_labels():
    probabilities = np.full((7, 3), 0.1)
    probabilities[[0, 3, 6], 0] = 0.8
    probabilities[[1, 2], 1] = 0.6, 0.7
    probabilities[[4, 5], 2] = 0.7, 0.5
    hits, score = align(np.log(probabilities), [1, 2])
    assert [hit[:3] for hit in hits] == [(1, 1, 3), (2, 4, 6)]
    assert [hit.confidence for hit in hits] == pytest.approx([0.7, 0.7])
    assert score == pytest.approx(np.log([0.8, 0.6, 0.7, 0.8, 0.7, 0.5, 0.8]).sum())


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 4), st.integers(0, 4), st.booleans())
def test_no_path_that_spells_the_text_is_likelier(seed, S, C, L, impossible):
    """All C^S paths are compared; some classes are impossible at some steps."""
    rng = np.random.default_rng(seed)
    log_probs, labels = random_log_probs(rng, S, C), rng.integers(1, C, L).tolist()
    if impossible:
        log_probs[rng.random((S, C)) < 0.2] = -np.inf
    steps = np.arange(S)
    paths = [path for path in itertools.product(range(C), repeat=S) if collapse(path) == labels]
    best = max((log_probs[steps, list(path)].sum() for path in paths), default=-np.inf)
    if best == -np.inf:
        with pytest.raises(ValueError, match="needs" if not paths else "-inf"):
            align(log_probs, labels)
        return
    hits, score = align(log_probs, labels)
    path = path_of(hits, S)
    assert score == pytest.approx(best)
    assert log_probs[steps, path].sum() == pytest.approx(best)
    assert collapse(path.tolist()) == labels == [hit.label for hit in hits]


@pytest.mark.parametrize("seed", range(20))
def test_path_and_score_are_those_of_torchaudio(seed):
    rng = np.random.default_rng(seed)
    S, C = int(rng.integers(20, 400)), int(rng.integers(2, 40))
    log_probs = random_log_probs(rng, S, C, sharpness=3).astype(np.float32)
    labels = rng.integers(1, C, int(rng.integers(1, S // 2))).tolist()
    hits, score = align(log_probs, labels)
    path, scores = forced_align(torch.from_numpy(log_probs)[None], torch.tensor([labels], dtype=torch.int32))
    assert path_of(hits, S).tolist() == path[0].tolist()
    assert score == pytest.approx(scores.double().sum().item(), rel=1e-5)
    for hit in hits:
        assert hit.confidence == pytest.approx(np.exp(log_probs[hit.start : hit.end, hit.label]).max())


@pytest.mark.parametrize("block", [1, 2, 3, 7, 50, 149, 150, 151, 1000])
def test_blocks_of_any_length_give_the_same(block):
    rng = np.random.default_rng(block)
    for labels in (rng.integers(1, 3, 60), rng.integers(1, 9, 140), np.array([4]), np.array([], int)):
        log_probs = np.round(random_log_probs(rng, 150, 9))  # with many ties
        while required_steps(labels.tolist()) > 150:
            labels = labels[:-1]  # noqa: PLW2901
        assert align(log_probs, labels, block) == align(log_probs, labels, 150)


def test_the_greedy_text_is_aligned_to_its_greedy_steps():
    rng = np.random.default_rng(3)
    log_probs = random_log_probs(rng, 200, 12, sharpness=4)
    hits = greedy(log_probs)
    assert align(log_probs, [hit.label for hit in hits]).hits == hits


def test_a_repeated_label_has_a_blank_between():
    hits, _ = align(log_eye([1, 1, 1, 1, 2], 3), [1, 1, 2])
    assert [hit.label for hit in hits] == [1, 1, 2]
    assert hits[0].end < hits[1].start
    assert hits[1].end == hits[2].start == 4


def test_a_text_that_just_fits_has_one_step_for_each_label():
    labels = [1, 1, 2, 1, 2, 2]
    hits, _ = align(random_log_probs(np.random.default_rng(0), required_steps(labels), 3), labels)
    assert [(hit.start, hit.end) for hit in hits] == [(0, 1), (2, 3), (3, 4), (4, 5), (5, 6), (7, 8)]


def test_no_text_is_all_blanks():
    log_probs = random_log_probs(np.random.default_rng(0), 300, 4)
    assert align(log_probs, []) == ([], pytest.approx(log_probs[:, 0].sum()))
    assert align(np.zeros((0, 4)), []) == ([], 0.0)


def test_of_equally_likely_paths_the_one_that_stays_longest_seen_from_the_end_is_taken():
    assert [hit[1:3] for hit in align(np.full((5, 3), -1.0), [1, 2]).hits] == [(0, 1), (1, 5)]


def test_scores_of_long_inputs_are_added_in_float64():
    log_probs = np.full((20_000, 2), -0.1, np.float32)
    assert align(log_probs, [1] * 50).score == pytest.approx(20_000 * float(np.float32(-0.1)), rel=1e-12)


def test_hits_are_plain_numbers():
    hits, score = align(random_log_probs(np.random.default_rng(0), 9, 4).astype(np.float32), [1, 2])
    assert type(score) is float
    assert all([type(value) for value in hit] == [int, int, int, float, int] for hit in hits)


def test_memory_is_far_from_a_byte_for_each_state_and_step():
    rng = np.random.default_rng(0)
    log_probs, labels = random_log_probs(rng, 6000, 30), rng.integers(1, 30, 3000)
    tracemalloc.start()
    try:
        hits, _ = align(log_probs, labels)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [hit.label for hit in hits] == labels.tolist()
    assert peak < 4e6 < 6000 * (2 * 3000 + 1) / 8


# --- what cannot be aligned


@given(st.lists(st.integers(1, 3), min_size=1, max_size=12))
def test_a_text_needs_as_many_steps_as_in_training(labels):
    needed = required_steps(labels)
    log_probs = np.full((needed, 4), np.log(0.25))
    assert [hit.label for hit in align(log_probs, labels).hits] == labels
    with pytest.raises(ValueError, match=f"the text needs {needed} steps and the signal gives {needed - 1}"):
        align(log_probs[1:], labels)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(np.nan, "log_probs hold nan in step 2"), (np.inf, "log_probs hold inf in step 2")],
)
def test_nan_and_infinity_are_refused(value, sentence):
    log_probs = np.full((4, 3), -1.0)
    log_probs[2, 1] = value
    with pytest.raises(ValueError, match=sentence):
        align(log_probs, [1])


@pytest.mark.parametrize("label", [0, 3, -1])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(ValueError, match=f"the text has the label {label}; labels go from 1 to 2"):
        align(np.full((4, 3), -1.0), [1, label])


def test_a_text_that_no_path_can_spell_is_refused():
    log_probs = np.full((4, 3), -1.0)
    log_probs[:, 2] = -np.inf
    assert len(align(log_probs, [1]).hits) == 1
    with pytest.raises(ValueError, match="no path through these 4 steps"):
        align(log_probs, [1, 2])
    log_probs[:, 0] = -np.inf
    with pytest.raises(ValueError, match="no path through these 4 steps"):
        align(log_probs, [1, 1])


def test_arrays_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(4,\)"):
        align(np.zeros(4), [1])


# --- where characters start and end


def hits_at(*places: tuple[int, int]) -> list[Hit]:
    return [Hit(1, start, end, 0.5, start) for start, end in places]


def test_neighbours_share_the_blanks_between_them():
    edges = widen(hits_at((2, 3), (5, 6), (6, 8)), [False] * 3, 20)
    assert edges.tolist() == [[1, 4], [4, 6], [6, 9]]  # outside by half of the gap of 2


def test_a_pause_stays_a_pause_and_the_ends_stay_within_the_signal():
    """The widest gap in a word of "ab c" is 4 steps, so no character takes more than 2 of a pause."""
    edges = widen(hits_at((1, 2), (6, 7), (20, 21), (40, 41)), [False, False, True, False], 42)
    assert edges.tolist() == [[0, 4], [4, 9], [18, 23], [38, 42]]


def test_without_two_letters_in_a_word_all_gaps_count():
    edges = widen(hits_at((1, 2), (4, 5), (10, 11)), [False, True, False], 20)
    assert edges.tolist() == [[0, 3], [3, 7.5], [7.5, 13.5]]


def test_a_single_character_extends_equally_to_the_nearer_end():
    assert widen(hits_at((3, 5)), [False], 9).tolist() == [[0, 8]]
    assert widen(hits_at((3, 5)), [False], 6).tolist() == [[2, 6]]
    assert widen(hits_at((0, 1)), [False], 9).tolist() == [[0, 1]]


def test_no_characters_have_no_places():
    assert widen([], [], 9).shape == (0, 2)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3), st.booleans()), max_size=12), st.integers(0, 9)
)
def test_places_hold_their_steps_and_do_not_overlap(drawn, behind):
    places, at = [], 0
    for gap, length, _ in drawn:
        places.append((at + gap, at + gap + length))
        at += gap + length
    edges = widen(hits_at(*places), [space for _, _, space in drawn], at + behind)
    previous = 0.0
    for (start, end), (first, last) in zip(edges.tolist(), places, strict=True):
        assert previous <= start <= first < last <= end <= at + behind
        previous = end
