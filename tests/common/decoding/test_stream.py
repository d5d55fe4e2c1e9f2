"""Results are compared with those of the same decoder for all steps at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.stream import BeamStream, decoding_stream
from common.language.kneser_ney import estimate
from common.text.symbols import Alphabet

ALPHABET = Alphabet(tuple(" abcd"))
DECODERS = {
    "greedy": Decoder(ALPHABET),
    "greedy, tempered": Decoder(ALPHABET, DecodingConfig(temperature=2.0)),
    "beam": Decoder(ALPHABET, DecodingConfig("beam", beam_width=8)),
    "beam of one": Decoder(ALPHABET, DecodingConfig("beam", beam_width=1)),
    "characters": Decoder(
        ALPHABET, DecodingConfig("beam", beam_width=12, temperature=1.5), [estimate(["a cab", "bad dad"], 3)]
    ),
    "words": Decoder(
        ALPHABET, DecodingConfig("beam", beam_width=12), [estimate(["a cab", "bad dad"], 2, "word")]
    ),
    "hot words": Decoder(ALPHABET, DecodingConfig("beam", beam_width=5), hot_words=["cab"]),
}


def random_log_probs(rng: np.random.Generator, steps: int, sharpness: float) -> np.ndarray:
    """Return log-probabilities (S, C), float32, in which many classes last for several steps."""
    scores = sharpness * rng.standard_normal((steps, ALPHABET.classes)).repeat(2, axis=0)[:steps]
    return (scores - np.log(np.exp(scores).sum(-1, keepdims=True))).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", DECODERS)
def test_pieces_give_what_all_steps_give_and_nothing_settled_is_taken_back(name):
    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 2**32), st.integers(0, 60), st.integers(1, 25), st.sampled_from([0.5, 2.0, 6.0]))
    def checked(seed, steps, longest, sharpness):
        rng = np.random.default_rng(seed)
        log_probs, stream = random_log_probs(rng, steps, sharpness), decoding_stream(DECODERS[name])
        settled: list[int] = []
        cuts = np.cumsum(rng.integers(0, longest + 1, steps))
        for piece in np.split(log_probs, cuts[cuts < steps]):
            news = stream.feed(piece)
            settled += news.settled
        (whole,) = DECODERS[name].decode(log_probs[None], np.array([steps]), 3)
        streamed = stream.hypotheses(3)
        assert stream.steps == steps
        assert len(streamed) == len(whole)
        for one, other in zip(streamed, whole, strict=True):
            assert one.score == pytest.approx(other.score, rel=1e-5)
            assert one.hits == other.hits
            assert one.missing == pytest.approx(other.missing, rel=1e-4, abs=1e-4)
            if other.score > -np.inf:
                assert [hit.label for hit in other.hits][: len(settled)] == settled

    checked()


def test_labels_that_all_prefixes_share_are_settled_and_others_are_tentative():
    """After "a", "b" and "c" are about equally likely: only the "a" is settled."""
    stream = decoding_stream(Decoder(ALPHABET, DecodingConfig("beam", beam_width=2)))
    sure, unsure = np.full((2, ALPHABET.classes), 1e-12)
    sure[2], unsure[3], unsure[4] = 1, 0.6, 0.4
    blank = np.full(ALPHABET.classes, 1e-12)
    blank[0] = 1
    assert stream.feed(np.log([sure, blank, unsure])) == ([2], [3])
    assert stream.feed(np.log([blank])) == ([], [3])


def test_the_beam_keeps_only_past_steps_that_differ():
    stream, rng = BeamStream(DECODERS["beam"]), np.random.default_rng(0)
    for _ in range(5):
        stream.feed(random_log_probs(rng, 200, 6.0))
        assert not stream._beam.traces
        assert len(stream._ways.appended) < 100
    assert {part.shape[1:] for trace in stream._settled for part in trace} == {(1, 1)}
    assert len(stream.hypotheses()[0].hits) > 300


def test_long_silence_costs_nothing():
    stream = BeamStream(DECODERS["beam"])
    stream.feed(random_log_probs(np.random.default_rng(0), 100, 2.0))
    silence = np.log(np.array([[1 - 5e-6, *[1e-6] * 5]] * 200))
    for _ in range(10):
        stream.feed(silence)
        assert len(stream._ways.appended) < 150
