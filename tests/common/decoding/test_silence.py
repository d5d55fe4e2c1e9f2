"""Silent steps are compared with a count by hand and with plain loops over the definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.greedy import greedy
from common.decoding.silence import SilenceStream, silenced, silent_steps
from common.decoding.stream import decoding_stream
from common.language.kneser_ney import estimate
from common.text.symbols import Alphabet

ALPHABET = Alphabet(tuple(" abcd"))
C = ALPHABET.classes
MODEL = estimate(["a", "a cab", "a bad dad", "a a a"], 3)
EAGER = Decoder(ALPHABET, DecodingConfig("beam", beam_width=12, lm_weight=0.5, label_bonus=2.0), [MODEL])


def log_probs_of(path: str, blank: float = 0.6) -> np.ndarray:
    """Return log-probabilities (S, C): a letter of `path` has 0.9; at "-" the blank has `blank`."""
    probs = np.empty((len(path), C))
    for step, symbol in enumerate(path):
        label, sure = (0, blank) if symbol == "-" else (1 + ALPHABET.symbols.index(symbol), 0.9)
        probs[step] = (1 - sure) / (C - 1)
        probs[step, label] = sure
    return np.log(probs).astype(np.float32)


def text(log_probs: np.ndarray, decoder: Decoder = EAGER) -> str:
    return decoder.texts(log_probs[None], np.array([len(log_probs)]))[0]


def shown(path: str) -> str:
    """Return where `path` is silent, as `.`, and elsewhere the path."""
    silent = silent_steps(log_probs_of(path)[None], np.array([len(path)]))[0]
    return "".join("." if one else symbol for one, symbol in zip(silent, path, strict=True))


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a" + "-" * 20 + "b", "a--------....--------b"),
        ("a" + "-" * 16 + "b", "a----------------b"),
        ("-" * 20 + "b", "............--------b"),
        ("a" + "-" * 20, "a--------............"),
        ("-" * 16 + "b", "----------------b"),
        ("-" * 17, "................."),
        ("-" * 16, "----------------"),
        ("", ""),
    ],
)
def test_steps_are_silent_that_are_far_from_every_likeliest_label(path, wanted):
    assert shown(path) == wanted


def test_a_long_signal_whose_blank_is_always_likeliest_has_no_text():
    """Without the rule the sum over all paths and the language model make words of it."""
    noise = log_probs_of("-" * 400)
    assert text(noise) == ""
    assert text(noise[:16]) != ""
    hypotheses = EAGER.decode(noise[None], np.array([400]), 3)[0]
    assert [one.hits for one in hypotheses] == [[]]
    assert hypotheses[0].missing == pytest.approx(400 * 0.4, rel=1e-3), "the confidence still knows the doubt"


def test_the_text_around_a_silence_is_that_of_its_two_halves_without_it():
    before, after = "a--c" + "-" * 8, "-" * 8 + "b"
    whole = text(log_probs_of(before + "-" * 300 + after))
    certain = np.full((1, C), -np.inf, np.float32)
    certain[0, 0] = 0
    parts = [log_probs_of(before), certain, log_probs_of(after)]
    assert whole == text(np.concatenate(parts)) != ""


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_a_batch_gives_what_each_signal_gives_alone(kind):
    paths = ["-" * 40, "a" + "-" * 30 + "b", "ab", "-" * 17 + "c" + "-" * 18]
    lengths = np.array(list(map(len, paths)))
    padded = np.full((len(paths), lengths.max(), C), np.nan, np.float32)
    for row, path in zip(padded, paths, strict=True):
        row[: len(path)] = log_probs_of(path)
    found = np.asarray(silent_steps(kind(padded), lengths))
    for path, row, length in zip(paths, found, lengths, strict=True):
        alone = silent_steps(log_probs_of(path)[None], np.array([length]))[0]
        np.testing.assert_array_equal(row[:length], alone)
    padded[np.isnan(padded)] = 0
    assert EAGER.texts(kind(padded), lengths) == [text(log_probs_of(path)) for path in paths]


def test_a_likeliest_label_is_never_in_a_silence():
    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from("-a b"), st.integers(1, 40)), max_size=6))
    def checked(runs):
        path = "".join(symbol * count for symbol, count in runs)
        log_probs = log_probs_of(path)
        left = silenced(log_probs[None], silent_steps(log_probs[None], np.array([len(path)])))[0]
        assert [hit.label for hit in greedy(left)] == [hit.label for hit in greedy(log_probs)]
        for step in np.flatnonzero((left != log_probs).any(1)):
            window = range(max(0, step - 8), min(len(path), step + 9))
            assert {path[near] for near in window} == {"-"}

    checked()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_broken_value_in_a_silence_is_still_refused(value):
    broken = log_probs_of("-" * 40)
    broken[20, 0] = value
    with pytest.raises(ValueError, match="step 20: a log-probability is NaN"):
        text(broken)


def test_an_impossible_step_is_no_silence():
    impossible = log_probs_of("-" * 40)
    impossible[20] = -np.inf
    assert not silent_steps(impossible[None], np.array([40]))[0, 12:29].any()


def test_pieces_are_silent_where_the_whole_is():
    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from("-a"), st.integers(1, 40)), max_size=6),
        st.lists(st.integers(0, 30), max_size=12),
    )
    def checked(runs, sizes):
        path = "".join(symbol * count for symbol, count in runs)
        log_probs, stream = log_probs_of(path), SilenceStream(C)
        parts, read = [np.zeros((0, C))], 0
        for size in [*sizes, len(path)]:
            parts.append(stream.feed(log_probs[read : read + size]))
            read = min(read + size, len(path))
            assert read - sum(map(len, parts)) <= 17, "no more is held back"
        whole = silenced(log_probs[None], silent_steps(log_probs[None], np.array([len(path)])))[0]
        np.testing.assert_array_equal(np.concatenate([*parts, stream.rest()]), whole)

    checked()


def test_a_stream_with_silences_gives_the_hypotheses_of_the_whole_and_goes_on_after_asking():
    path = "-" * 30 + "ca-b" + "-" * 50 + "dad" + "-" * 21
    log_probs, stream = log_probs_of(path), decoding_stream(EAGER)
    for end in range(5, len(path) + 5, 5):
        stream.feed(log_probs[end - 5 : end])
        length = min(end, len(path))
        (whole,) = EAGER.decode(log_probs[None, :length], np.array([length]), 3)
        for one, other in zip(stream.hypotheses(3), whole, strict=True):
            assert one.hits == other.hits
            assert one.score == pytest.approx(other.score, rel=1e-5)
            assert one.missing == pytest.approx(other.missing, rel=1e-4, abs=1e-4)
