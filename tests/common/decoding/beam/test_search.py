"""Results are compared with a sum over all alignments, a textbook search over a dictionary, or a list."""

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from common.decoding.arrays import Array
from common.decoding.beam.fusion import Fusion, Scorer
from common.decoding.beam.lexicon import Lexicon
from common.decoding.beam.prefixes import Hypotheses
from common.decoding.beam.scorers import CharacterScorer, HotWordScorer, WordScorer
from common.decoding.beam.search import BeamSearch
from common.decoding.greedy import greedy
from common.language.kneser_ney import estimate
from common.language.ngram import NGram

PLACES = [
    "numpy",
    "cpu",
    pytest.param("cuda", marks=pytest.mark.gpu),
]
"""kinds of arrays: NumPy, or torch on a device"""
SYMBOLS = ("a", " ", "", "b")
BLANK = SYMBOLS.index("")
"""symbols for tests with fusion; in tests without it, any class may be the blank"""
WORDS = ["a", "ab", "ba", "aab"]
PHRASES = ["ab", "b a", "a b a"]
Labels = tuple[int, ...]


def put(array: npt.ArrayLike, place: str) -> Array:
    array = np.asarray(array)
    return array if place == "numpy" else torch.from_numpy(array).to(place)


def normalized(scores: np.ndarray) -> np.ndarray:
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def random_log_probs(
    rng: np.random.Generator, B: int, S: int, C: int, impossible: bool = False
) -> np.ndarray:
    """Return random log-probabilities, flat or peaked; if some are impossible, they sum to less than 1."""
    log_probs = normalized(rng.choice([0.5, 1.0, 3.0]) * rng.standard_normal((B, S, C)))
    if impossible:
        log_probs[rng.random(log_probs.shape) < 0.2] = -np.inf
    return log_probs


def peaky(path: Sequence[int], C: int, sure: float | Sequence[float] = 0.9) -> np.ndarray:
    """Return log-probabilities (S, C) in which each class of `path` has `sure`, and others share the rest."""
    sure = np.broadcast_to(np.array(sure)[..., None], (len(path), 1))
    return np.log(np.where(np.eye(C)[list(path)] > 0, sure, (1 - sure) / (C - 1)))


def prefixes(hypotheses: Hypotheses, row: int = 0) -> list[tuple[Labels, float, float, float]]:
    """Return labels, score, fused and final score of the prefixes; check that the other rows are empty."""
    found = []
    for rank, length in enumerate(hypotheses.lengths[row].tolist()):
        labels = hypotheses.labels[row, rank].tolist()
        scores = [float(part[row, rank]) for part in hypotheses[2:5]]
        assert not any(labels[length:])
        if scores[0] > -np.inf:
            assert len(found) == rank  # free slots come last
            found.append((tuple(labels[:length]), *scores))
        else:
            assert length == 0
    return found


def assert_same(got: Hypotheses, wanted: Hypotheses) -> None:
    for name, ours, theirs in zip(wanted._fields, got, wanted, strict=True):
        assert ours.dtype == theirs.dtype, name
        if ours.dtype.kind == "i":
            np.testing.assert_array_equal(ours, theirs, name)
        else:
            np.testing.assert_allclose(
                ours, theirs, rtol=1e-6 if ours.dtype == np.float32 else 1e-10, err_msg=name
            )


def assert_same_rows(whole: Hypotheses, row: int, alone: Hypotheses) -> None:
    """Check that a row of a batch equals the result for the utterance alone, apart from padding."""
    L = alone.labels.shape[2]
    assert (whole.lengths[row] <= L).all()
    parts = [part[row : row + 1, :, :L] if part.ndim == 3 else part[row : row + 1] for part in whole]
    assert_same(Hypotheses(*parts), alone)


# --- the truth


def all_texts(log_probs: np.ndarray, blank: int) -> dict[Labels, float]:
    """Return the log-probability of each text of (S, C), summed over the C ** S paths."""
    S, C = log_probs.shape
    texts = dict[Labels, float]()
    for path in itertools.product(range(C), repeat=S):
        labels = tuple(label for label, _ in itertools.groupby(path) if label != blank)
        score = sum(log_probs[step, label] for step, label in enumerate(path))
        texts[labels] = np.logaddexp(texts.get(labels, -np.inf), score)
    return {labels: score for labels, score in texts.items() if score > -np.inf}


def considered(row: np.ndarray, top_n: int | None, prob: float) -> list[int]:
    """Return the fewest likeliest classes that have the probability `prob`, at most `top_n`."""
    kept, mass = list[int](), 0.0
    for label in sorted(range(len(row)), key=lambda label: -row[label]):  # stable
        if len(kept) == top_n or (prob < 1 and mass >= prob):
            break
        kept.append(label)
        mass += np.exp(row[label])
    return kept


def gained(scorers: Sequence[Scorer], labels: Labels) -> tuple[float, float]:
    """Return the gain of `labels`, summed label by label, and that of their end."""
    gain, end = 0.0, 0.0
    for scorer in scorers:
        state = np.array([scorer.start])
        for label in labels:
            gain += scorer.rows(state)[0, label]
            state = scorer.advance(state, np.array([label]))
        end += scorer.final(state)[0]
    return gain, end


def textbook(
    log_probs: np.ndarray,
    width: int,
    blank: int = 0,
    scorers: Sequence[Scorer] = (),
    top_n: int | None = None,
    prob: float = 1.0,
) -> list[tuple[Labels, float, float, float]]:
    """Return the same as `prefixes` for an utterance (S, C), by algorithm 1 of Hannun et al. 2014."""
    gain = cache(lambda labels: gained(scorers, labels))
    ends_blank, ends_label = {(): 0.0}, {(): -np.inf}
    for row in log_probs:
        new_blank, new_label = dict[Labels, float](), dict[Labels, float]()

        def add(ends: dict[Labels, float], labels: Labels, score: float) -> None:
            ends[labels] = np.logaddexp(ends.get(labels, -np.inf), score)

        for labels, after_blank in ends_blank.items():
            either = np.logaddexp(after_blank, ends_label[labels])
            for label in considered(row, top_n, prob):
                if label == blank:
                    add(new_blank, labels, either + row[label])
                elif labels[-1:] == (label,):
                    add(new_label, labels, ends_label[labels] + row[label])
                    add(new_label, (*labels, label), after_blank + row[label])
                else:
                    add(new_label, (*labels, label), either + row[label])
        total = {
            labels: np.logaddexp(new_blank.get(labels, -np.inf), new_label.get(labels, -np.inf))
            for labels in new_blank | new_label
        }
        fused = {labels: score + gain(labels)[0] for labels, score in total.items()}
        alive = [labels for labels in total if fused[labels] > -np.inf]
        alive.sort(key=lambda labels: (-fused[labels], labels[-1:]))
        ends_blank = {labels: new_blank.get(labels, -np.inf) for labels in alive[:width]}
        ends_label = {labels: new_label.get(labels, -np.inf) for labels in alive[:width]}
    found = [
        (
            labels,
            score := float(np.logaddexp(ends_blank[labels], ends_label[labels])),
            score + gain(labels)[0],
        )
        for labels in ends_blank
    ]
    found = [(*prefix, gain(prefix[0])[1]) for prefix in found]
    return sorted(found, key=lambda prefix: (-prefix[2] - prefix[3], prefix[0][-1:]))


def assert_prefixes(
    hypotheses: Hypotheses, row: int, wanted: list[tuple[Labels, float, float, float]]
) -> None:
    got = prefixes(hypotheses, row)
    assert [prefix[0] for prefix in got] == [prefix[0] for prefix in wanted]
    for ours, theirs in zip(got, wanted, strict=True):
        assert ours[1] == pytest.approx(theirs[1], abs=1e-9)
        assert ours[2:] == pytest.approx(theirs[2:], abs=1e-4)  # gains are float32


# --- what is fused


@cache
def model_of(unit: str) -> NGram:
    rng = np.random.default_rng(7)
    return estimate(["".join(rng.choice(list("aab  b"), rng.integers(3, 9))) for _ in range(60)], 3, unit)


def characters(text: str) -> float:
    return 0.7 * float(model_of("character").log_probs(list(text)).sum()) + 0.3 * len(text)


def words(text: str, penalty: float) -> float:
    """Return the gain of a whole text from the word scorers below."""
    *complete, last = text.split(" ")
    if "" in complete:
        return -np.inf
    spoken = [*complete, last] if last else complete
    known = [word in WORDS for word in spoken]
    *log_probs, end = (
        model_of("word").log_probs([word if word in WORDS else "<unk>" for word in spoken]).tolist()
    )
    if penalty < np.inf:
        return 0.6 * (sum(log_probs) + end) + 0.4 * len(spoken) - penalty * known.count(False)
    if not all(known[: len(complete)]) or not any(word.startswith(last) for word in WORDS):
        return -np.inf
    if not all(known):
        return 0.6 * (sum(log_probs[:-1]) + end) + 0.4 * len(spoken) - 5
    return 0.6 * (sum(log_probs) + end) + 0.4 * len(spoken)


def hot(text: str) -> float:
    spoken = text.split(" ")
    return 1.5 * sum(
        len(phrase)
        for phrase in PHRASES
        for start in range(len(spoken))
        if spoken[start:][: phrase.count(" ") + 1] == phrase.split(" ")
    )


FUSED = {
    "character": characters,
    "hard": lambda text: words(text, np.inf),
    "soft": lambda text: words(text, 2.0),
    "late": lambda text: words(text, 2.0),
    "hot": hot,
}
"""for each scorer below, the gain of a whole text, computed from the text alone"""
COMBINATIONS = [
    *([name] for name in FUSED),
    ["character", "hard"],
    ["character", "soft", "hot"],
    ["hot", "hard"],
]


@cache
def scorer_of(name: str) -> Scorer:
    if name == "character":
        return CharacterScorer(model_of("character"), SYMBOLS, 0.7, 0.3)
    if name == "hot":
        return HotWordScorer(PHRASES, SYMBOLS, 1.5)
    penalty = np.inf if name == "hard" else 2.0
    lexicon = Lexicon(WORDS, SYMBOLS)
    return WordScorer(
        lexicon, SYMBOLS, model_of("word"), 0.6, 0.4, penalty, lookahead=name != "late", unfinished=5.0
    )


def fusion_of(names: Sequence[str]) -> Fusion | None:
    return Fusion([scorer_of(name) for name in names], len(SYMBOLS)) if names else None


# --- all there is


@pytest.mark.parametrize("seed", range(12))
def test_a_wide_beam_gives_each_text_the_sum_over_all_its_alignments(seed):
    rng = np.random.default_rng(seed)
    for S, C in [(1, 5), (2, 4), (4, 5), (5, 4), (6, 3), (6, 2)]:
        log_probs = random_log_probs(rng, 1, S, C, impossible=seed % 3 == 0)
        blank = int(rng.integers(C))
        truth = all_texts(log_probs[0], blank)
        spare = 3
        width = len(truth) + spare
        hypotheses = BeamSearch(width, blank=blank).search(log_probs, np.array([S]), width)
        wanted = [(labels, score, score, 0.0) for labels, score in truth.items()]
        assert_prefixes(hypotheses, 0, sorted(wanted, key=lambda prefix: -prefix[1]))
        assert (hypotheses.scores[0, len(truth) :] == -np.inf).all()


@pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
def test_a_wide_beam_ranks_all_texts_by_the_sum_of_network_and_fusion(names):
    rng = np.random.default_rng(len(names))
    for S in [1, 2, 3, 4, 5, 5]:
        log_probs = random_log_probs(rng, 1, S, len(SYMBOLS))
        truth = all_texts(log_probs[0], BLANK)
        found = prefixes(
            BeamSearch(len(truth), blank=BLANK, fusion=fusion_of(names)).search(
                log_probs, np.array([S]), len(truth)
            )
        )
        wanted = {}
        for labels, score in truth.items():
            text = "".join(SYMBOLS[label] for label in labels)
            fused = score + sum(FUSED[name](text) for name in names)
            if fused > -np.inf:
                wanted[labels] = score, fused
        assert {labels: score for labels, score, _, _ in found} == pytest.approx(
            {labels: score for labels, (score, _) in wanted.items()}
        )
        totals = [fused + final for _, _, fused, final in found]
        assert totals == sorted(totals, reverse=True)
        assert totals == pytest.approx([wanted[labels][1] for labels, *_ in found], abs=1e-4)


@pytest.mark.parametrize("place", PLACES)
def test_texts_that_fusion_forbids_are_no_hypotheses_however_wide_the_beam(place):
    log_probs = put(np.log(np.full((1, 4, 4), 0.25)), place)
    for names in [["hard"], ["soft"]]:
        search = BeamSearch(300, blank=BLANK, fusion=fusion_of(names))
        found = prefixes(search.search(log_probs, put([4], place), 300))
        texts = {"".join(SYMBOLS[label] for label in labels) for labels, *_ in found}
        assert all(fused > -np.inf for _, _, fused, _ in found)
        assert not any(text.startswith(" ") or "  " in text for text in texts)
        assert {"", "a", "a ", "ab", "ab a"} <= texts
        assert ("bab" in texts) == (names == ["soft"])


# --- a beam of limited width


@pytest.mark.parametrize("seed", range(60))
def test_a_beam_of_any_width_is_the_textbook_prefix_search(seed):
    rng = np.random.default_rng(seed)
    B, S, C, width = (int(rng.integers(1, high)) for high in (4, 11, 6, 9))
    blank = int(rng.integers(C))
    log_probs = random_log_probs(rng, B, S, C, impossible=seed % 3 == 0)
    lengths = rng.integers(0, S + 1, B)
    hypotheses = BeamSearch(width, blank=blank).search(log_probs, lengths, width)
    for row, length in enumerate(lengths):
        assert_prefixes(hypotheses, row, textbook(log_probs[row, :length], width, blank))


@pytest.mark.parametrize("seed", range(40))
def test_classes_are_cut_off_as_in_the_textbook(seed):
    rng = np.random.default_rng(seed)
    B, S, C, width = (int(rng.integers(1, high)) for high in (4, 9, 7, 9))
    blank = int(rng.integers(C))
    top_n = int(rng.integers(1, C + 2)) if rng.random() < 0.6 else None
    prob = float(rng.choice([0.3, 0.6, 0.9, 0.99, 1.0]))
    log_probs = random_log_probs(rng, B, S, C, impossible=seed % 4 == 0)
    search = BeamSearch(width, cutoff_top_n=top_n, cutoff_prob=prob, blank=blank)
    hypotheses = search.search(log_probs, np.full(B, S), width)
    for row in range(B):
        wanted = textbook(log_probs[row], width, blank, top_n=top_n, prob=prob)
        assert_prefixes(hypotheses, row, wanted)


@pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
@pytest.mark.parametrize("cutoffs", [{}, {"cutoff_top_n": 3, "cutoff_prob": 0.95}], ids=["all", "cut off"])
def test_a_fused_beam_of_any_width_is_the_textbook_prefix_search(names, cutoffs):
    rng = np.random.default_rng(len(names))
    fusion = fusion_of(names)
    for width in [1, 2, 3, 5, 8]:
        log_probs, lengths = random_log_probs(rng, 2, 8, len(SYMBOLS)), np.array([8, rng.integers(1, 8)])
        search = BeamSearch(width, blank=BLANK, fusion=fusion, **cutoffs)
        hypotheses = search.search(log_probs, lengths, width)
        for row, length in enumerate(lengths):
            assert fusion is not None
            wanted = textbook(
                log_probs[row, :length], width, BLANK, fusion.scorers, *cutoffs.values() or (None, 1.0)
            )
            assert_prefixes(hypotheses, row, wanted)


def test_the_order_may_leave_out_the_gain_of_the_end():
    rng = np.random.default_rng(3)
    search = BeamSearch(20, blank=BLANK, fusion=fusion_of(["character", "soft", "hot"]))
    log_probs = random_log_probs(rng, 1, 6, len(SYMBOLS))
    beam = search.start(log_probs)
    search.feed(beam, log_probs, np.array([6]))
    final, fused = prefixes(search.best(beam, 20)), prefixes(search.best(beam, 20, rank_final=False))
    assert [prefix[2] for prefix in fused] == sorted((prefix[2] for prefix in fused), reverse=True)
    assert sorted(fused) == sorted(final)
    assert fused != final


def test_fewer_hypotheses_are_the_first_of_all_hypotheses():
    rng = np.random.default_rng(4)
    log_probs = random_log_probs(rng, 2, 7, 4)
    search = BeamSearch(6)
    every = search.search(log_probs, np.array([7, 5]), 6)
    for count in range(1, 6):
        some = search.search(log_probs, np.array([7, 5]), count)
        for row in range(2):
            assert prefixes(some, row) == prefixes(every, row)[:count]


# --- cut-offs


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(-6, 6)),
    st.floats(0.01, 1.0),
    st.none() | st.integers(1, 13),
    st.integers(0, 11),
)
def test_a_cut_off_leaves_the_smallest_set_of_classes_with_enough_probability(scores, prob, top_n, blank):
    """After one step, there is one prefix for each class that was considered."""
    row, C = normalized(scores), len(scores)
    blank = blank % C
    search = BeamSearch(C + 1, cutoff_top_n=top_n, cutoff_prob=prob, blank=blank)
    found = prefixes(search.search(row[None, None], np.array([1]), C + 1))
    kept = [labels[0] if labels else blank for labels, *_ in found]
    masses = sorted(np.exp(row[kept]), reverse=True)
    assert len(set(kept)) == len(kept)
    assert len(kept) <= (top_n or C)
    assert max(np.exp(row)) == masses[0]
    assert min(masses) >= max(np.exp(np.delete(row, kept)), default=0)
    assert sum(masses[:-1]) < prob + 1e-9  # one class fewer would have too little
    assert sum(masses) >= prob - 1e-9 or len(kept) == min(top_n or C, C)


@pytest.mark.parametrize("place", PLACES)
def test_of_equally_likely_classes_those_with_small_numbers_are_considered(place):
    log_probs = put(np.log([[[0.25, 0.125, 0.125, 0.125, 0.25, 0.125]]]), place)
    for cutoffs in [{"cutoff_top_n": 4}, {"cutoff_prob": 0.74}]:
        hypotheses = BeamSearch(9, **cutoffs, blank=5).search(log_probs, put([1], place), 9)
        assert [labels for labels, *_ in prefixes(hypotheses)] == [(0,), (4,), (1,), (2,)]
    many = np.full((1, 1, 64), 1 / 128)
    many[..., 40:50] = 1 / 32
    hypotheses = BeamSearch(64, cutoff_top_n=24).search(put(np.log(many), place), put([1], place), 64)
    found = [labels for labels, *_ in prefixes(hypotheses)]
    assert found == [*((label,) for label in range(40, 50)), (), *((label,) for label in range(1, 14))]


def test_if_the_blank_is_cut_off_prefixes_stay_only_by_their_last_label():
    log_probs = np.log([[[0.1, 0.5, 0.4]] * 2])
    found = prefixes(BeamSearch(9, cutoff_top_n=2).search(log_probs, np.array([2]), 9))
    assert [labels for labels, *_ in found] == [(1,), (2, 1), (1, 2), (2,)] or [
        labels for labels, *_ in found
    ] == [(1,), (1, 2), (2, 1), (2,)]
    assert [np.exp(score) for _, score, _, _ in found] == pytest.approx([0.25, 0.2, 0.2, 0.16])


# --- ties


@pytest.mark.parametrize("place", PLACES)
def test_of_equal_prefixes_the_one_with_the_smaller_last_label_is_kept_and_comes_first(place):
    flat = put(np.log(np.full((1, 1, 4), 0.25)), place)
    for blank, wanted in [(0, [(), (1,), (2,), (3,)]), (2, [(), (0,), (1,), (3,)])]:
        for width in [1, 2, 3, 4, 6]:
            found = prefixes(BeamSearch(width, blank=blank).search(flat, put([1], place), width))
            assert [labels for labels, *_ in found] == wanted[:width]


@pytest.mark.parametrize("place", PLACES)
def test_ties_are_broken_again_at_each_step(place):
    """After a certain label 2 and a certain blank, each of (2,), (2, 1), (2, 2), (2, 3) has a quarter."""
    with np.errstate(divide="ignore"):
        log_probs = put(np.log([[[0.0, 0, 1, 0], [1, 0, 0, 0], [0.25] * 4]]), place)
    for width in [1, 2, 3, 4]:
        found = [
            labels for labels, *_ in prefixes(BeamSearch(width).search(log_probs, put([3], place), width))
        ]
        assert [labels[-1] for labels in found] == [1, 2, 2, 3][:width]
        assert len(set(found)) == width
        assert set(found) <= {(2,), (2, 1), (2, 2), (2, 3)}


@pytest.mark.parametrize("place", PLACES)
def test_ties_in_one_utterance_of_a_batch_do_not_touch_the_others(place):
    """Tied utterances are at both ends and in the middle of the batch; the better prefixes always stay."""
    tied, plain = [0.1, 0.2, 0.2, 0.2, 0.3], [0.1, 0.15, 0.24, 0.2, 0.31]
    for rows in itertools.product([tied, plain], repeat=3):
        hypotheses = BeamSearch(3).search(put(np.log(rows)[:, None], place), put([1, 1, 1], place), 3)
        for row, probabilities in enumerate(rows):
            wanted = [(4,), (1,), (2,)] if probabilities is tied else [(4,), (2,), (3,)]
            assert [labels for labels, *_ in prefixes(hypotheses, row)] == wanted


# --- pieces, batches, padding


SEARCHES = [[], ["character"], ["character", "hard", "hot"]]


@pytest.mark.parametrize("names", SEARCHES, ids="+".join)
@pytest.mark.parametrize("place", PLACES)
def test_pieces_give_what_the_whole_gives(names, place):
    """Utterances are cut at different steps, some pieces are empty, and `best` is called in between."""
    rng = np.random.default_rng(5)
    search = BeamSearch(7, blank=BLANK, fusion=fusion_of(names))
    for _ in range(6):
        B, S = int(rng.integers(1, 5)), int(rng.integers(1, 14))
        log_probs, lengths = random_log_probs(rng, B, S, len(SYMBOLS)), rng.integers(0, S + 1, B)
        whole = search.search(log_probs, lengths, 7)
        beam = search.start(put(np.zeros(B), place))
        read = np.zeros(B, np.int64)
        while (read < lengths).any():
            now = np.minimum(rng.integers(0, 4, B), lengths - read)
            piece = np.full((B, max(now) + rng.integers(2), len(SYMBOLS)), np.nan)
            for row in range(B):
                piece[row, : now[row]] = log_probs[row, read[row] : read[row] + now[row]]
            search.feed(beam, put(piece, place), put(now, place))
            read += now
            soon = search.best(beam, 3)
            assert_same(soon, search.search(log_probs, read, 3))
        assert_same(search.best(beam, 7), whole)
        assert_same(search.best(beam, 7), whole)


@pytest.mark.parametrize("names", SEARCHES, ids="+".join)
@pytest.mark.parametrize("padding", [np.nan, np.inf, -np.inf, 0.0, 7.0])
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_a_batch_gives_what_each_utterance_alone_gives_for_any_padding(names, padding):
    rng = np.random.default_rng(6)
    search = BeamSearch(6, cutoff_prob=0.97, blank=BLANK, fusion=fusion_of(names))
    for B in [1, 2, 5]:
        log_probs, lengths = random_log_probs(rng, B, 10, len(SYMBOLS)), rng.integers(0, 11, B)
        log_probs[np.arange(10) >= lengths[:, None]] = padding
        before = log_probs.copy()
        together = search.search(log_probs, lengths, 6)
        np.testing.assert_array_equal(log_probs, before)
        for row, length in enumerate(lengths):
            assert_same_rows(
                together, row, search.search(log_probs[row : row + 1, :length], lengths[row : row + 1], 6)
            )


@pytest.mark.parametrize("names", SEARCHES, ids="+".join)
@pytest.mark.parametrize("cutoffs", [{}, {"cutoff_top_n": 3}, {"cutoff_prob": 0.9}], ids=str)
@pytest.mark.parametrize("place", PLACES[1:])
def test_tensors_give_what_arrays_give(names, cutoffs, place):
    rng = np.random.default_rng(8)
    for _ in range(8):
        B, S, width = (int(rng.integers(1, high)) for high in (5, 14, 9))
        log_probs, lengths = random_log_probs(rng, B, S, len(SYMBOLS)), rng.integers(0, S + 1, B)
        search = BeamSearch(width, blank=BLANK, fusion=fusion_of(names), **cutoffs)
        wanted = search.search(log_probs, lengths, width)
        got = search.search(put(log_probs, place), put(lengths, place), width)
        for row in range(B):  # the order of free slots is arbitrary
            assert_prefixes(got, row, prefixes(wanted, row))
        for name, ours, theirs in zip(wanted._fields, got, wanted, strict=True):
            assert (type(ours), ours.dtype, ours.shape) == (np.ndarray, theirs.dtype, theirs.shape), name
            alive = wanted.scores > -np.inf
            np.testing.assert_allclose(ours[alive], theirs[alive], rtol=1e-6, err_msg=name)


def test_single_and_half_precision_are_searched_in_double():
    log_probs = random_log_probs(np.random.default_rng(9), 2, 6, 4)
    for kind in [np.float16, np.float32]:
        less = log_probs.astype(kind)
        wanted = BeamSearch(5).search(less.astype(np.float64), np.array([6, 4]), 5)
        assert_same(BeamSearch(5).search(less, np.array([6, 4], np.int32), 5), wanted)
        assert_same(BeamSearch(5).search(torch.from_numpy(less), torch.tensor([6, 4]), 5), wanted)


# --- where labels are


def positions(hypotheses: Hypotheses, rank: int = 0) -> list[tuple[int, int, int, int, float]]:
    """Return label, start, end, peak and confidence of each label of a hypothesis of the first utterance."""
    parts = (part[0, rank, : hypotheses.lengths[0, rank]].tolist() for part in hypotheses if part.ndim == 3)
    labels, starts, ends, peaks, confidences = parts
    return list(zip(labels, starts, ends, peaks, map(pytest.approx, confidences), strict=True))


@pytest.mark.parametrize("place", PLACES)
def test_labels_have_their_steps_their_peaks_and_the_probability_there(place):
    probabilities = [
        [0.90, 0.06, 0.04],
        [0.10, 0.80, 0.10],  # 1 in three steps, likeliest in the middle one
        [0.03, 0.95, 0.02],
        [0.20, 0.70, 0.10],
        [0.05, 0.05, 0.90],  # 2 immediately after it
        [0.96, 0.02, 0.02],
        [0.95, 0.03, 0.02],
        [0.15, 0.05, 0.80],  # 2 again, after blanks
        [0.04, 0.05, 0.91],
        [0.98, 0.01, 0.01],
    ]
    for width in [1, 3, 50]:
        hypotheses = BeamSearch(width).search(put(np.log([probabilities]), place), put([10], place))
        assert positions(hypotheses) == [(1, 1, 4, 2, 0.95), (2, 4, 5, 4, 0.90), (2, 7, 9, 8, 0.91)]


def test_a_label_starts_where_its_likeliest_path_enters_it():
    """A prefix (1,) of tiny probability exists from the first step on; the likely way to it comes later."""
    probabilities = [
        [0.97, 0.03],
        [0.98, 0.02],
        [0.05, 0.95],
        [0.30, 0.70],
        [0.99, 0.01],
    ]
    hypotheses = BeamSearch(8).search(np.log([probabilities]), np.array([5]))
    assert positions(hypotheses) == [(1, 2, 4, 2, 0.95)]


def test_every_hypothesis_has_its_own_positions():
    """The hypotheses are 1 2, 1 3, and the same with 1 twice."""
    probabilities = [
        [0.02, 0.96, 0.01, 0.01],
        [0.60, 0.38, 0.01, 0.01],
        [0.02, 0.96, 0.01, 0.01],
        [0.02, 0.02, 0.66, 0.30],
        [0.97, 0.01, 0.01, 0.01],
    ]
    hypotheses = BeamSearch(50).search(np.log([probabilities]), np.array([5]), 4)
    assert [positions(hypotheses, rank) for rank in range(4)] == [
        [(1, 0, 1, 0, 0.96), (1, 2, 3, 2, 0.96), (2, 3, 4, 3, 0.66)],
        [(1, 0, 3, 0, 0.96), (2, 3, 4, 3, 0.66)],
        [(1, 0, 1, 0, 0.96), (1, 2, 3, 2, 0.96), (3, 3, 4, 3, 0.30)],
        [(1, 0, 3, 0, 0.96), (3, 3, 4, 3, 0.30)],
    ]


@pytest.mark.parametrize("seed", range(20))
def test_if_the_network_is_certain_the_positions_are_those_of_the_greedy_path(seed):
    rng = np.random.default_rng(seed)
    C, S = int(rng.integers(2, 6)), int(rng.integers(1, 40))
    path = np.repeat(rng.integers(0, C, S), rng.integers(1, 4, S))
    log_probs = peaky(path, C, rng.uniform(0.99, 0.999, len(path)))
    hits = greedy(log_probs)
    wanted = []
    for hit in hits:
        peak = hit.start + int(log_probs[hit.start : hit.end, hit.label].argmax())
        wanted.append((hit.label, hit.start, hit.end, peak, np.exp(log_probs[peak, hit.label])))
    for width in [1, 10]:
        hypotheses = BeamSearch(width).search(log_probs[None], np.array([len(path)]))
        assert positions(hypotheses) == wanted


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 5), st.sampled_from(SEARCHES))
def test_labels_stand_in_order_and_do_not_overlap(seed, S, width, names):
    rng = np.random.default_rng(seed)
    log_probs = random_log_probs(rng, 1, S, len(SYMBOLS))
    search = BeamSearch(width, blank=BLANK, fusion=fusion_of(names))
    hypotheses = search.search(log_probs, np.array([S]), width)
    for rank in range(width):
        before = 0
        for label, start, end, peak, confidence in positions(hypotheses, rank):
            assert before <= start <= peak < end <= S
            assert float(np.exp(log_probs[0, peak, label])) == confidence
            before = end


def test_steps_are_counted_over_all_pieces():
    log_probs = peaky([0, 1, 1, 0, 2, 2, 0], 3)[None]
    search = BeamSearch(5)
    beam = search.start(log_probs)
    for start in range(0, 7, 2):
        piece = log_probs[:, start : start + 2]
        search.feed(beam, piece, np.array([piece.shape[1]]))
    assert [hit[:3] for hit in positions(search.best(beam))] == [(1, 1, 3), (2, 4, 6)]


# --- little or nothing


@pytest.mark.parametrize("place", PLACES)
def test_very_unlikely_labels_are_not_impossible(place):
    log_probs = put([[[-1e9, 0.0, -2e4, -np.inf]], [[0.0, -1e5, -1e5 - 1, -9999.5]]], place)
    hypotheses = BeamSearch(6).search(log_probs, put([1, 1], place), 6)
    assert [prefix[:2] for prefix in prefixes(hypotheses, 0)] == [((1,), 0), ((2,), -2e4), ((), -1e9)]
    wanted = [((), 0), ((3,), -9999.5), ((1,), -1e5), ((2,), -1e5 - 1)]
    assert [prefix[:2] for prefix in prefixes(hypotheses, 1)] == wanted


def test_if_there_are_fewer_prefixes_than_the_beam_is_wide_the_other_slots_are_free():
    hypotheses = BeamSearch(5).search(np.log([[[0.5, 0.3, 0.2]]]), np.array([1]), 5)
    assert hypotheses.lengths.tolist() == [[0, 1, 1, 0, 0]]
    assert hypotheses.labels.tolist() == [[[0], [1], [2], [0], [0]]]
    assert np.exp(hypotheses.scores[0]) == pytest.approx([0.5, 0.3, 0.2, 0.0, 0.0])
    assert (hypotheses.fused[0, 3:] == -np.inf).all()


def test_if_nothing_is_possible_every_slot_is_free():
    log_probs = np.log(np.full((1, 4, 3), 1 / 3))
    log_probs[0, 2] = -np.inf
    for names in [[], ["late"]]:
        C = len(SYMBOLS) if names else 3
        padded = np.concatenate([log_probs, np.full((1, 4, C - 3), -np.inf)], -1)
        hypotheses = BeamSearch(4, fusion=fusion_of(names)).search(padded, np.array([4]), 4)
        assert (hypotheses.scores == -np.inf).all()
        assert (hypotheses.lengths == 0).all()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("names", [[], ["character"]], ids=["network", "fused"])
def test_no_steps_spell_the_empty_text(names, place):
    search = BeamSearch(3, blank=BLANK, fusion=fusion_of(names))
    end = characters("") if names else 0.0
    for steps in [0, 4]:
        log_probs = np.full((2, steps, len(SYMBOLS)), np.nan)
        hypotheses = search.search(put(log_probs, place), put([0, 0], place), 3)
        assert hypotheses.labels.shape == hypotheses.confidences.shape == (2, 3, 0)
        for row in range(2):
            assert prefixes(hypotheses, row) == [((), 0.0, 0.0, pytest.approx(end, abs=1e-5))]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("names", [[], ["character"]], ids=["network", "fused"])
def test_no_utterances_give_no_hypotheses(names, place):
    search = BeamSearch(3, blank=BLANK, fusion=fusion_of(names))
    log_probs, lengths = np.zeros((0, 5, len(SYMBOLS))), np.zeros(0, np.int64)
    hypotheses = search.search(put(log_probs, place), put(lengths, place), 2)
    assert hypotheses.labels.shape == (0, 2, 0)
    assert hypotheses.scores.shape == hypotheses.lengths.shape == (0, 2)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("cutoffs", [{}, {"cutoff_top_n": 1}, {"cutoff_prob": 0.5}], ids=str)
def test_if_the_blank_is_the_only_class_nothing_is_read(cutoffs, place):
    log_probs = put([[[-0.5], [-0.25], [0.0]]], place)
    hypotheses = BeamSearch(3, **cutoffs).search(log_probs, put([2], place), 3)
    assert prefixes(hypotheses) == [((), -0.75, -0.75, 0.0)]


# --- what is refused


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"width": 0}, "the beam's width is 0; give 1 or more"),
        ({"width": -3}, "width is -3"),
        ({"cutoff_top_n": 0}, "cutoff_top_n is 0; give 1 or more, or None"),
        ({"cutoff_prob": 0.0}, "cutoff_prob is 0; give a probability above 0"),
        ({"cutoff_prob": 1.5}, "cutoff_prob is 1.5"),
        ({"cutoff_prob": -0.1}, "cutoff_prob is -0.1"),
        ({"cutoff_prob": float("nan")}, "cutoff_prob is nan"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        BeamSearch(**setting)


@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((2, 5), [5, 5], r"shape \(2, 5\), where 2 utterances x steps x classes"),
        ((3, 5, 4), [5, 5, 5], r"shape \(3, 5, 4\), where 2 utterances"),
        ((2, 5, 2), [5, 5], "the blank is class 2, but there are 2 classes"),
        ((2, 5, 4), [5], r"lengths of shape \(1,\) \(int64\); give 2 integers"),
        ((2, 5, 4), [[5, 5]], r"lengths of shape \(1, 2\)"),
        ((2, 5, 4), [5.0, 5.0], r"lengths of shape \(2,\) \(float64\); give 2 integers"),
        ((2, 5, 4), [5, 6], "a length is 6, but there are 5 steps"),
        ((2, 5, 4), [-1, 5], "a length is -1, but there are 5 steps"),
    ],
)
@pytest.mark.parametrize("place", PLACES)
def test_shapes_and_lengths_that_do_not_fit_are_refused(shape, lengths, message, place):
    search = BeamSearch(3, blank=2)
    beam = search.start(put([0, 0], place))
    with pytest.raises(ValueError, match=message):
        search.feed(beam, put(np.zeros(shape), place), put(lengths, place))


def test_a_blank_below_zero_is_refused():
    with pytest.raises(ValueError, match="the blank is class -1, but there are 4 classes"):
        BeamSearch(3, blank=-1).search(np.zeros((1, 2, 4)), np.array([2]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", PLACES)
def test_invalid_log_probabilities_are_refused_and_the_beam_stays_as_it_was(value, place):
    good = random_log_probs(np.random.default_rng(0), 2, 5, 4)
    bad = good.copy()
    bad[1, 3, 2] = value
    search = BeamSearch(4)
    beam = search.start(put(good, place))
    search.feed(beam, put(good, place), put([5, 4], place))
    before = search.best(beam, 4)
    with pytest.raises(ValueError, match=r"utterance 1, step 3: a log-probability is NaN or \+inf"):
        search.feed(beam, put(bad, place), put([5, 4], place))
    assert_same(search.best(beam, 4), before)
    search.feed(beam, put(bad, place), put([5, 3], place))  # after the end it is ignored


@pytest.mark.parametrize("count", [0, -1, 4])
def test_there_are_as_many_hypotheses_as_the_beam_is_wide(count):
    with pytest.raises(ValueError, match=f"{count} hypotheses of a beam of width 3; ask for 1 to 3"):
        BeamSearch(3).search(np.zeros((1, 2, 4)), np.array([2]), count)
